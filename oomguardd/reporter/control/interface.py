"""The varlink interface io.oomguard.Manager, as programs read it.

Rule of this file: what is written here stays. A field may be added; none changes its meaning or goes away.
"""

from __future__ import annotations

MANAGER = "io.oomguard.Manager"

NOT_PERMITTED = f"{MANAGER}.NotPermitted"

# Comments stand before whole symbols only: older parsers know none between fields.
DESCRIPTION = """\
# What oomguardd sees, decides and has done. Nothing here changes anything.
# Sizes are in bytes, spans in seconds, moments in seconds since 1970. Texts contain printable characters
# only: what a process has put into its name is escaped.
interface io.oomguard.Manager

# What the guard does: nothing; warn; ask processes to end; kill at once. "unknown" where the guard has not
# said it, or is not there.
type Level (unknown, calm, warn, terminate, kill)

# A signal at the guard's last look, in its unit: "bytes", "percent", "bytes/s", "1/s" or "count". "total" is
# what a percentage of it refers to.
type Reading (
  name: string,
  value: float,
  unit: string,
  total: ?float,
  help: string
)

# One condition of a trigger, as it was written and in the unit of its signal: null where its total is not
# known.
type Condition (
  signal: string,
  below: bool,
  bound: ?float,
  text: string,
  holds: bool
)

# A trigger that is in force. It orders its level while it holds: when all of its conditions have done so for
# "for_s".
type Trigger (
  name: string,
  level: Level,
  for_s: float,
  holds: bool,
  conditions: []Condition
)

# An ability that is not there, what that costs, and what would bring it back.
type Missing (
  what: string,
  cost: string,
  remedy: string
)

# A kill, by oomguardd or by somebody else ("kernel", "systemd-oomd", ...). "count" is how many processes died
# by it. "outcome" is empty until it is known.
type Kill (
  time_s: float,
  by: string,
  dry_run: bool,
  pid: ?int,
  comm: string,
  uid: ?int,
  cgroup: string,
  runtime: string,
  unit: string,
  app: string,
  container: string,
  pod: string,
  job: string,
  signal: string,
  triggers: []string,
  count: ?int,
  held_bytes: ?int,
  outcome: string,
  after_s: ?float,
  available_before_bytes: ?int,
  available_after_bytes: ?int,
  text: string
)

# Something that did not go as it should.
type Trouble (
  time_s: float,
  kind: string,
  text: string
)

# The process that senses and kills. "heard_s" is when it last said something; "tick_s" how long its last look
# took, "lag_max_s" how late it was at most.
type Guard (
  connected: bool,
  heard_s: ?float,
  pid: ?int,
  run: string,
  version: string,
  started_s: ?float,
  armed: bool,
  dry_run: bool,
  locked: ?bool,
  realtime: ?bool,
  psi_source: string,
  rss_bytes: ?int,
  cpu_s: ?float,
  ticks: ?int,
  tick_s: ?float,
  lag_max_s: ?float,
  processes: ?int,
  kills: ?int,
  busy: bool,
  dropped: ?int
)

# What the reporter counts about itself: "told", "failed", "dropped", "refused", for each of its parts.
type Counter (
  name: string,
  part: string,
  count: int
)

# How many records wait for one of the reporter's parts.
type Queue (
  part: string,
  waiting: int
)

# The process that tells, and answers here.
type Reporter (
  pid: int,
  version: string,
  started_s: float,
  rss_bytes: ?int,
  cpu_s: float,
  followers: int,
  queues: []Queue,
  counters: []Counter
)

# The files that are in force since "since_s". "problems" is why another configuration was not taken.
type Configuration (
  sources: []string,
  since_s: ?float,
  problems: []string,
  failed_s: ?float
)

# Everything at once. "ok": the guard is there and armed, and its configuration is what the files say;
# otherwise "problems" says what is wrong.
method Status() -> (
  time_s: float,
  ok: bool,
  problems: []string,
  level: Level,
  since_s: ?float,
  readings: []Reading,
  triggers: []Trigger,
  missing: []Missing,
  kills: []Kill,
  troubles: []Trouble,
  guard: Guard,
  reporter: Reporter,
  configuration: Configuration
)

# The last kills, the newest last; up to 20 are remembered.
method Kills(count: ?int) -> (kills: []Kill)

# With "more": what happens from now on, one event a reply, and before that so many of the past ones. "record"
# is the whole of it, "lines" what the log says. A reader who is too slow misses events: a reply without a
# record says how many were "lost". The first reply has neither: from then on nothing is missed.
method Follow(backlog: ?int) -> (
  record: ?object,
  lines: []string,
  lost: int
)

# Who may ask is set by control.readers.
error NotPermitted (why: string)
"""

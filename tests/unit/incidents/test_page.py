"""The page is whole in itself, well formed, accessible, and nothing in an incident can become markup."""

from __future__ import annotations

import base64
import hashlib
import json
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguardd.history.incident import INCIDENT_KINDS, Incident, Reading
from oomguardd.incidents.page import page
from oomguardd.incidents.script import HASH, SCRIPT
from oomguardd.incidents.style import STYLE
from tests.unit.incidents.samples import HOSTILE, INCIDENTS, fast_leak, hostile
from tests.unit.incidents.scene import NOON_S, SIGNALS_BY_NAME

VOID = {"meta", "br"}
LINKS = {
    "href",
    "src",
    "srcset",
    "action",
    "data",
    "poster",
    "background",
    "xlink:href",
    "ping",
    "formaction",
}


class Outline(HTMLParser):
    """What is in a page, and whether every element is closed where it has to be."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> closes another one"

    def handle_data(self, data: str) -> None:
        inside = self.stack[-1] if self.stack else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(name: str) -> str:
    return page(INCIDENTS[name](), SIGNALS_BY_NAME)


each = pytest.mark.parametrize("name", INCIDENTS)


@each
def test_every_element_is_closed_and_every_id_is_there_once(name: str) -> None:
    outline = Outline(page_of(name))
    assert outline.stack == []
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {a["aria-labelledby"] for _, a in outline.elements if "aria-labelledby" in a}
    wanted |= {a["href"].removeprefix("#") for a in outline.all("a")}
    assert wanted <= set(ids)


@each
def test_nothing_comes_from_elsewhere(name: str) -> None:
    outline = Outline(page_of(name))
    links = [(key, value) for _, a in outline.elements for key, value in a.items() if key in LINKS]
    assert all(value.startswith("#") for _, value in links), links
    assert "url(" not in STYLE.replace("url(#", "")
    assert "@import" not in STYLE
    assert outline.scripts == [SCRIPT], "only our own script"
    assert not [key for _, a in outline.elements for key in a if key.startswith("on")]
    policy = next(a["content"] for a in outline.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert HASH in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_the_policy_has_the_hash_of_the_script() -> None:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"sha256-{digest}" == HASH


@each
def test_it_can_be_read_without_seeing_it(name: str) -> None:
    outline = Outline(page_of(name))
    assert outline.all("html") == [{"lang": "en"}]
    assert all(a.get("scope") in ("row", "col") for a in outline.all("th"))
    headings = [int(tag[1]) for tag, _ in outline.elements if tag in ("h1", "h2", "h3", "h4")]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(later - before <= 1 for before, later in pairwise(headings))
    unnamed = [
        a
        for a in outline.all("svg")
        if not (a.get("role") == "img" or a.get("aria-hidden")) and "viewbox" not in a
    ]
    assert not unnamed, "a picture says what it shows, or that it is for the eye alone"


@each
def test_only_printable_text_is_in_it(name: str) -> None:
    text = page_of(name)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.encode()


def test_hostile_names_are_text() -> None:
    outline = Outline(page(hostile(), SIGNALS_BY_NAME, host=HOSTILE))
    assert "<script>alert(1)</script>" in outline.text
    assert "\\u202e" in outline.text, "what would turn the direction of writing is shown as what it is"
    assert not {tag for tag, _ in outline.elements} & {
        "iframe",
        "img",
        "object",
        "embed",
        "form",
        "base",
        "link",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "fast_leak",
            [
                "python3 was ended, and 10.9 GiB came back",
                "there is no swap",
                "It helped",
                "seconds that decided",
            ],
        ),
        (
            "thrashing",
            [
                "Docker container 4f0c9d1e2a3b",
                "Hatched: nothing was read",
                "docker update --memory 3g",
                "SIGKILL",
            ],
        ),
        (
            "kernel",
            [
                "The kernel killed nginx",
                "limit of 512 MiB of /system.slice/nginx.service",
                "Who could have been killed",
            ],
        ),
        ("dry_run", ["Dry run: python3 would have been ended", "Nobody was signalled", "dry_run = false"]),
        ("fork_bomb", ["301 processes of forkbomb were ended", "and 291 more", "TasksMax=512"]),
        ("no_readings", ["there is nothing to draw", "How it ended is not recorded"]),
        (
            "foreign",
            ["earlyoom killed firefox", "Its reason: mem avail 6 %", "systemctl disable --now earlyoom"],
        ),
        ("nobody", ["It did not help enough", "nobody can be killed", "df -h -t tmpfs"]),
    ],
)
def test_it_answers_what_is_asked(name: str, words: list[str]) -> None:
    text = Outline(page_of(name)).text
    assert [word for word in words if word not in text] == []


def test_the_foot_says_what_it_is_and_names_the_host_only_if_told() -> None:
    incident = fast_leak()
    assert "Incident 20261123-143012-1" in Outline(page(incident, SIGNALS_BY_NAME)).text
    assert "web-7" not in page(incident, SIGNALS_BY_NAME)
    assert "web-7" in Outline(page(incident, SIGNALS_BY_NAME, host="web-7")).text


def test_times_are_written_as_asked() -> None:
    text = page(fast_leak(), SIGNALS_BY_NAME, when=lambda time_s: f"moment {time_s:.0f}")
    assert f"moment {NOON_S:.0f}" in Outline(text).text
    assert 'datetime="2026-11-23T14:30:12Z"' in text


def test_a_gap_is_not_drawn_over() -> None:
    text = page_of("thrashing")
    assert text.count('class="gap"') == 3, "one in each panel"
    assert 'class="line mem"' in text.partition('class="line mem"')[2], "the line is in two pieces"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "victim",
    "party",
    "outcome",
    "readings",
    "comm",
    "cgroup",
    "held_bytes",
    "report",
    "memcg",
    "tasks",
    "timings",
    "runners_up",
    "adjustments",
    "spared",
    "why",
    "time_s",
    "bounds",
    "totals",
    "count",
    "members",
    "level",
    "by",
    "kill_id",
    "run",
    "conditions",
    "triggers",
    "page_bytes",
    "constraint",
    "limit_cgroup",
    "points",
    "uid",
)
records = st.dictionaries(
    st.sampled_from(KEYS), values | st.dictionaries(st.sampled_from(KEYS), values), max_size=8
)
kinds = st.sampled_from((*INCIDENT_KINDS, "outcome", "level", "nobody", "escalated", "strange"))


@settings(max_examples=60, deadline=None)
@given(
    kill=records,
    kind=st.sampled_from(INCIDENT_KINDS),
    events=st.lists(st.tuples(kinds, records), max_size=4),
    triggers=st.lists(records, max_size=2),
    moments=st.lists(
        st.tuples(
            st.floats(-70, 70),
            st.dictionaries(
                st.sampled_from(["mem_available", "swap_free", "swap_total", "mem_total", "psi_full_10s"]),
                st.floats(),
            ),
        ),
        max_size=6,
    ),
)
def test_no_record_is_too_bad(kill, kind, events, triggers, moments) -> None:  # type: ignore[no-untyped-def]
    first = {**kill, "kind": kind}
    incident = Incident(
        "x",
        NOON_S,
        first,
        (first, *({**event, "kind": name} for name, event in events)),
        tuple(Reading(NOON_S + at, found, "warn") for at, found in moments),
        tuple(triggers),
    )
    assert Outline(page(incident, SIGNALS_BY_NAME)).stack == []


def test_a_record_as_json_gives_the_same_page() -> None:
    """The history gives back lists and new mappings: nothing may go by identity."""
    incident = fast_leak()
    again = Incident(
        incident.id,
        incident.time_s,
        json.loads(json.dumps(incident.kill)),
        tuple(json.loads(json.dumps(event)) for event in incident.events),
        tuple(Reading(*json.loads(json.dumps(reading))) for reading in incident.readings),
        tuple(json.loads(json.dumps(trigger)) for trigger in incident.triggers),
    )
    assert page(again, SIGNALS_BY_NAME) == page(incident, SIGNALS_BY_NAME)

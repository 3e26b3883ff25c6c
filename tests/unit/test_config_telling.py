"""What the configuration says about telling: the reporter's sections and `[[hook]]`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from oomguardd.config import Config, ConfigError, config_check, load
from oomguardd.sections import from_wire, to_wire
from oomguardd.sensors import SIGNALS
from oomguardd.telling import HOOK_KINDS, Hook, Telling, telling_to_wire


def load_text(tmp_path: Path, text: str, later: str = "") -> Config:
    main = tmp_path / "oomguard.toml"
    main.write_text(text)
    folder = tmp_path / "oomguard.toml.d"
    folder.mkdir(exist_ok=True)
    (folder / "later.toml").write_text(later)
    return load(str(main), SIGNALS)


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    assert len(caught.value.problems) == 1
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_the_defaults_are_those_of_the_classes(tmp_path: Path) -> None:
    assert load_text(tmp_path, "").telling == Telling()


def test_settings_are_read_from_their_sections(tmp_path: Path) -> None:
    config = load_text(tmp_path, '[metrics]\nlisten = "[::1]:9000"\ntoken_file = "/etc/token"\n')
    assert config.telling.metrics.listen == "[::1]:9000"
    assert config.section("metrics").token_file == "/etc/token"
    assert config.origin("metrics.listen").endswith("oomguard.toml")


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::]:10066", "localhost:65535", "/run/x.sock"])
def test_a_listener_is_an_address_or_a_path(tmp_path: Path, listen: str) -> None:
    assert load_text(tmp_path, f'[metrics]\nlisten = "{listen}"\n').telling.metrics.listen == listen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[metrics]\nlisten = "10066"', '"10066" is not an address (write it like "127.0.0.1:10066"'),
        ('[metrics]\nlisten = "::1:10066"', '"::1:10066" is not an address'),
        ('[metrics]\nlisten = "[::1]:http"', '"[::1]:http" has no port from 0 to 65535'),
        ('[metrics]\nlisten = "h:65536"', '"h:65536" has no port from 0 to 65535'),
        ('[metrics]\ntls_cert = "/a"', "metrics.tls_cert: is of no use without metrics.tls_key"),
        ('[metrics]\ntls_key = "/a"', "metrics.tls_key: is of no use without metrics.tls_cert"),
        ('[metrics]\nlisten = "off"', "metrics.enabled = false for none"),
        ('[metrics]\ntextfile = "/var/x"', '"/var/x" does not end in .prom'),
        ('[history]\nmax_size = "1K"', "history.max_size"),
        ('[history]\nmax_age = "1y"', '"2h" or "7d"'),
        ('[history]\ndirectory = "x"', '"x" is not an absolute path (it has to begin with "/")'),
        ('[control]\nreaders = "me"', "control.readers"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    assert message in problem(tmp_path, text)


HOOK = '[[hook]]\nname = "pager"\non = ["kill", "warn"]\nrun = ["/bin/page", "now"]\n'


def test_a_hook(tmp_path: Path) -> None:
    assert load_text(tmp_path, HOOK).telling.hooks == (Hook("pager", ("kill", "warn"), ("/bin/page", "now")),)


def test_a_later_file_changes_a_hook_key_by_key(tmp_path: Path) -> None:
    later = '[[hook]]\nname = "pager"\nurl = "https://h/x"\ntimeout = "2s"\n'
    expected = Hook("pager", ("kill", "warn"), (), "https://h/x", 2.0)
    assert load_text(tmp_path, HOOK, later).telling.hooks == (expected,)
    assert load_text(tmp_path, HOOK, '[[hook]]\nname = "pager"\nenabled = false\n').telling.hooks == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('on = ["kill", "warn"]', "on = []"), "hook.pager.on: is not a list of kinds"),
        (("kill", "kil"), 'hook.pager.on: "kil" is no kind of event (there are kill, outcome'),
        (('on = ["kill", "warn"]', ""), "hook.pager: no such hook to change or remove (a new one needs on ="),
        (('["/bin/page", "now"]', '"/bin/page now"'), "hook.pager.run: is text, and there is no shell"),
        (('"/bin/page"', '"page"'), 'hook.pager.run: "page" is not an absolute path'),
        (('run = ["/bin/page", "now"]', ""), "hook.pager: does nothing"),
        (('run = ["/bin/page", "now"]', 'url = "ftp://h/"'), "hook.pager.url: "),
        (('run = ["/bin/page", "now"]', 'url = "http://[/"'), "is not an http or https URL"),
        (("name =", 'url = "http://h/"\nname ='), "hook.pager.url: contradicts run (keep one of them)"),
        (("name =", "timeout = 5\nname ="), "hook.pager.timeout"),
        (("name =", "runs = 5\nname ="), 'hook.pager.runs: no such key (did you mean "run"?)'),
    ],
)
def test_what_is_wrong_with_a_hook(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert message in problem(tmp_path, HOOK.replace(*change, 1))


@pytest.mark.parametrize(
    "url", ["htps://u:S3CRET@h/x", "http://h:port/S3CRET", "http://h/S3CRET x", "S3CRET"]
)
def test_no_secret_of_a_url_is_in_a_message(tmp_path: Path, url: str) -> None:
    message = problem(tmp_path, HOOK.replace('run = ["/bin/page", "now"]', f'url = "{url}"'))
    assert "is not an http or https URL" in message
    assert "S3CRET" not in message


def test_what_is_in_force_loads_again(tmp_path: Path) -> None:
    config = load_text(tmp_path, HOOK + '[notify]\nwarn_pause = "1h"\n[control]\nsocket = "off"\n')
    status, text = config_check(str(tmp_path / "oomguard.toml"), SIGNALS)
    assert status == 0
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert load(str(again), SIGNALS) == config


def test_the_guard_gets_none_of_it(tmp_path: Path) -> None:
    config = load_text(tmp_path, HOOK)
    wire = json.loads(json.dumps(to_wire(config) | telling_to_wire(config.telling)))
    assert wire["hooks"][0]["run"] == ["/bin/page", "now"]
    assert from_wire(wire) == replace(config, telling=None)


def test_every_kind_can_be_hooked(tmp_path: Path) -> None:
    kinds = ", ".join(f'"{kind}"' for kind in HOOK_KINDS)
    assert (
        load_text(tmp_path, f'[[hook]]\non = [{kinds}]\nurl = "http://h"\n').telling.hooks[0].on == HOOK_KINDS
    )

"""Slices, units, sessions and applications of the host and of users' managers."""

from __future__ import annotations

import pytest

from oomguardd.model import NO_OWNER
from oomguardd.runtimes import owner_of
from oomguardd.runtimes.systemd import app_of, unescape

MANAGER = "/user.slice/user-1000.slice/user@1000.service"
UUID = "0bb6bd33-6a5f-4a7f-9b2e-4d1e9d2cd0a1"


@pytest.mark.parametrize(
    ("path", "unit", "slice_"),
    [
        ("/init.scope", "init.scope", ""),
        ("/system.slice/unattended-upgrades.service", "unattended-upgrades.service", "system.slice"),
        ("/system.slice/fstests-generic-531.scope", "fstests-generic-531.scope", "system.slice"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "system-getty.slice"),
        (r"/system.slice/system-serial\x2dgetty.slice/serial-getty@ttyS0.service",
         "serial-getty@ttyS0.service", r"system-serial\x2dgetty.slice"),
        ("/system.slice/systemd-udevd.service/udev", "systemd-udevd.service", "system.slice"),
        ("/system.slice/_cpu.service", "cpu.service", "system.slice"),
        (r"/system.slice/var-lib-docker.mount", "var-lib-docker.mount", "system.slice"),
        ("/system.slice", "", "system.slice"),
        ("/user.slice/user-1000.slice", "", "user-1000.slice"),
        ("/foo", "", ""),
        ("/build-kernel-tmpfs", "", ""),
        ("/system.slice/system.slice/ssh.service", "", "system.slice"),
        ("/system.slice/user-1000.slice/session-1.scope", "", "system.slice"),
        ("/user-1000.slice/session-1.scope", "", ""),
        ("/foo/system.slice/ssh.service", "", ""),
        ("/.slice/ssh.service", "", ""),
    ],
)  # fmt: skip
def test_units_of_the_host(path: str, unit: str, slice_: str) -> None:
    owner = owner_of(path)
    assert (owner.unit, owner.slice, owner.user_unit, owner.runtime) == (unit, slice_, "", "")


@pytest.mark.parametrize(
    ("path", "session", "uid"),
    [
        ("/user.slice/user-504.slice/session-2.scope", "2", 504),
        ("/user.slice/user-42.slice/session-c1.scope", "c1", 42),
        ("/user.slice/user-1000.slice/user-runtime-dir@1000.service", "", 1000),
        ("/user.slice/user-1000.slice", "", 1000),
        ("/user.slice/user-x.slice/session-2.scope", "", None),
        ("/user.slice/user-99999999999.slice/session-2.scope", "", None),
        ("/user.slice/user-\u0661.slice/session-2.scope", "", None),
        ("/system.slice/session-2.scope", "", None),
        ("/docker/user.slice/user-1000.slice/session-2.scope", "", None),
    ],
)
def test_sessions(path: str, session: str, uid: int | None) -> None:
    assert (owner_of(path).session, owner_of(path).uid) == (session, uid)


def test_units_of_a_user() -> None:
    owner = owner_of(f"{MANAGER}/app.slice/app-gnome-firefox-12345.scope/child")
    assert owner.unit == "user@1000.service"
    assert owner.slice == "user-1000.slice"
    assert owner.user_unit == "app-gnome-firefox-12345.scope"
    assert (owner.uid, owner.app) == (1000, "firefox")


def test_another_users_manager_is_a_mere_unit() -> None:
    owner = owner_of("/user.slice/user-1000.slice/user@0.service/app.slice/app-firefox-1.scope")
    assert (owner.unit, owner.user_unit, owner.app) == ("user@0.service", "", "")
    assert owner.place("unit") == ""


@pytest.mark.parametrize(
    ("unit", "app"),
    [
        ("app-firefox-1.scope", "firefox"),
        ("app-gnome-firefox-12345.scope", "firefox"),
        ("app-gnome-org.gnome.Nautilus-991.scope", "org.gnome.Nautilus"),
        (r"app-gnome-google\x2dchrome-1234.scope", "google-chrome"),
        ("app-flatpak-org.mozilla.firefox-3042.scope", "org.mozilla.firefox"),
        ("app-org.kde.konsole-5b6f.scope", "org.kde.konsole"),
        ("app-org.kde.konsole@1f2e3d.service", "org.kde.konsole"),
        (r"app-gnome\x2dkeyring\x2dssh@autostart.service", "gnome-keyring-ssh"),
        ("app-gnome-org.gnome.Evolution@autostart.service", "org.gnome.Evolution"),
        ("app-firefox.service", "firefox"),
        ("app-firefox.scope", "firefox"),
        ("app-gnome-google-chrome-12.scope", "google-chrome"),
        (f"vte-spawn-{UUID}.scope", "vte-spawn"),
        (f"snap.firefox.firefox-{UUID}.scope", "firefox"),
        (f"snap.firefox.firefox.{UUID}.scope", "firefox"),
        (f"snap.telegram-desktop.telegram-desktop-{UUID}.scope", "telegram-desktop"),
        ("flatpak-org.example.App-42.scope", "org.example.App"),
        ("dbus-:1.2-org.gnome.Nautilus@0.service", "org.gnome.Nautilus"),
        ("run-r0f3c1d.scope", ""),
        ("dbus.service", ""),
        ("init.scope", ""),
        ("", ""),
        ("app.service", ""),
        ("app-.scope", ""),
    ],
)
def test_applications(unit: str, app: str) -> None:
    assert app_of(unit) == app


def test_a_system_service_is_no_application() -> None:
    assert owner_of("/system.slice/app-firefox-1.scope").app == ""


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        (r"a\x2db", "a-b"),
        (r"\xc3\xa4", "ä"),
        (r"a\x2", r"a\x2"),
        (r"a\xzz", r"a\xzz"),
        (r"a\x", r"a\x"),
        (r"\xff", "\ufffd"),
        ("a\\b", "a\\b"),
    ],
)
def test_escapes(name: str, plain: str) -> None:
    assert unescape(name) == plain


@pytest.mark.parametrize(
    ("unit", "below"),
    [
        ("/system.slice/a.service", ""),
        ("/system.slice/a.service", "/b/c.service"),
        ("/user.slice/user-1000.slice/session-3.scope", ""),
        (f"{MANAGER}/app.slice/app-firefox-1.scope", ""),
        (f"{MANAGER}/app.slice/app-org.kde.konsole-12.scope", "/tab(13).scope"),
        (f"{MANAGER}/app.slice/app-org.gnome.Terminal.slice/vte-spawn-{UUID}.scope", ""),
    ],
)
def test_places_of_units(unit: str, below: str) -> None:
    assert owner_of(unit + below).places == (("cgroup", unit + below), ("unit", unit))


@pytest.mark.parametrize("path", ["/foo", "/foo/bar.service", f"{MANAGER}/loose", "/system.slice/foo/bar"])
def test_what_systemd_does_not_know_has_a_cgroup_only(path: str) -> None:
    assert owner_of(path).places == (("cgroup", path),)


@pytest.mark.parametrize(
    "path",
    [
        "/system.slice",
        "/user.slice/user-1000.slice",
        "/init.scope",
        MANAGER,
        f"{MANAGER}/init.scope",
        f"{MANAGER}/app.slice",
    ],
)
def test_managers_and_slices_are_no_places(path: str) -> None:
    assert owner_of(path).places == ()


@pytest.mark.parametrize(
    "path", ["", "/", "/..", "/../..", "/../system.slice/a.service", "relative/a.service"]
)
def test_nothing_is_said(path: str) -> None:
    assert owner_of(path) == NO_OWNER

"""The report page in a real browser: nothing overflows, nothing is complained about, nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.incidents.page import page
from tests.browser.chromium import NoBrowser, Tab, browser, ensure_chromium
from tests.unit.incidents.samples import INCIDENTS
from tests.unit.incidents.scene import SIGNALS_BY_NAME

DESKTOP, PHONE = (1280, 900), (360, 800)

OVERFLOWING = """
[...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".wide, pre, .chart, details"))
  .map(e => e.tagName + "." + e.getAttribute("class") + " " + e.textContent.slice(0, 60))
"""

pytestmark = pytest.mark.timeout(600)  # the first run may have to install the browser


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    try:
        path = ensure_chromium()
    except NoBrowser as why:
        pytest.skip(str(why))
    with browser(path) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pages")
    for name, made in INCIDENTS.items():
        (place / f"{name}.html").write_text(page(made(), SIGNALS_BY_NAME), encoding="utf-8")
    return place


@pytest.mark.parametrize("name", INCIDENTS)
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_it_fits_and_is_quiet(tab: Tab, pages: Path, name: str, size: tuple[int, int], scheme: str) -> None:
    tab.look(*size, scheme)
    tab.open(pages / f"{name}.html")
    assert tab.run("document.scrollingElement.scrollWidth <= innerWidth"), tab.run(OVERFLOWING)
    assert tab.run(OVERFLOWING) == []
    assert "happen again" in tab.run("document.body.innerText")
    assert tab.complaints() == []
    assert [url for url in tab.requests() if not url.startswith("file:")] == []


def test_details_that_are_opened_fit_a_phone(tab: Tab, pages: Path) -> None:
    tab.look(*PHONE)
    for name in ("thrashing", "hostile"):
        tab.open(pages / f"{name}.html")
        tab.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert tab.run("document.scrollingElement.scrollWidth <= innerWidth")


def test_each_scheme_has_its_own_paper(tab: Tab, pages: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        tab.look(*DESKTOP, scheme)
        tab.open(pages / "fast_leak.html")
        grounds.append(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(251, 250, 247)", "rgb(23, 22, 20)"]


def test_the_pointer_reads_the_chart(tab: Tab, pages: Path) -> None:
    tab.look(*DESKTOP)
    tab.open(pages / "thrashing.html")
    tab.run("document.querySelector('.chart').scrollIntoView({behavior: 'instant', block: 'start'})")
    where = "(() => { const b = document.querySelector('.chart .plot[role=img]').getBoundingClientRect();"
    x, y = json.loads(tab.run(f"{where} return JSON.stringify([b.left + b.width / 4, b.top + 40]); }})()"))
    readout = "document.querySelector('.chart .readout')"
    assert tab.run(f"{readout}.hidden")
    tab.move(x, y)
    words = tab.run(f"{readout}.innerText")
    assert "memory available" in words
    assert "\N{MINUS SIGN}30 s" in words, "a quarter of two minutes is half a minute before the kill"
    tab.move(2, 2)
    assert tab.run(f"{readout}.hidden")


def test_the_names_of_processes_run_nothing(tab: Tab, pages: Path) -> None:
    tab.look(*DESKTOP)
    tab.open(pages / "hostile.html")
    assert tab.run("document.scripts.length") == 1
    assert "<script>alert(1)</script>" in tab.run("document.querySelector('h1').innerText")
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    assert tab.run("window.ran === undefined"), "the policy stops what escaping would have let through"


def test_without_scripts_it_is_all_there(tab: Tab, pages: Path) -> None:
    text = (pages / "kernel.html").read_text(encoding="utf-8")
    bare = pages / "bare.html"
    bare.write_text(text[: text.index("<script")] + "</body></html>", encoding="utf-8")
    tab.look(*DESKTOP)
    tab.open(bare)
    assert tab.run("document.querySelectorAll('.plot path.line').length") >= 3
    assert "nginx" in tab.run("document.querySelector('#kernel').innerText")

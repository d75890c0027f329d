"""The report page in a browser: what it loads, what it shows at any width, in any light, on paper, without script."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netprobe.render.report import Report, page
from netprobe.text import escape
from tests.browser.chromium import Chromium, Opened
from tests.browser.reports import HOSTILE, REPORTS
from tests.browser.sight import CONTRAST, OVERFLOWING
from tests.conftest import needs

pytestmark = pytest.mark.xdist_group("browser")  # one worker, so that one browser is enough

NARROW_PX = 42 * 16  # where rows become blocks
WIDTHS_PX = (320, 360, NARROW_PX, NARROW_PX + 1, 1024, 1600, 2560)


@pytest.fixture(params=["one-hostile", "ordinary", "ordinary-hostile", "many-hostile"])
def report(request: pytest.FixtureRequest) -> Report:
    return REPORTS[request.param]


@pytest.fixture
def ordinary(browser: Chromium) -> Iterator[Opened]:
    with browser.opened(page(REPORTS["ordinary"])) as opened:
        yield opened


# What names from elsewhere can do to it.


STRUCTURE = """([data]) => {
  const all = [...document.querySelectorAll("*")];
  const ids = all.map((e) => e.id).filter(Boolean);
  return {
    names: [...new Set(all.map((e) => e.localName))],
    attributes: [...new Set(all.flatMap((e) => e.getAttributeNames()))],
    links: all.filter((e) => e.hasAttribute("href")).map((e) => e.getAttribute("href")),
    lost: all.filter((e) => e.hasAttribute("href"))
      .filter((e) => !document.getElementById(e.getAttribute("href").slice(1))).map((e) => e.outerHTML),
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    unscoped: all.filter((e) => e.localName === "th" && !e.scope).length,
    cells: document.querySelectorAll(".matrix td details").length,
    sameData: JSON.stringify(JSON.parse(document.getElementById("netprobe-data").textContent))
      === JSON.stringify(JSON.parse(data)),
    text: document.body.textContent,
    title: document.title,
  };
}"""


def test_names_are_text_and_nothing_else(browser: Chromium, report: Report) -> None:
    with browser.opened(page(report)) as opened:
        seen = opened.measure(STRUCTURE, report.data)
        opened.page.evaluate("() => new Promise((done) => setTimeout(done))")  # what was to happen by now has
    assert opened.messages == []
    assert opened.requests == [opened.address]
    elements = {"html", "head", "meta", "title", "style", "script", "body", "div", "header", "span", "time", "nav", "a"}
    elements |= {"main", "section", "p", "h1", "h2", "h3", "h4", "b", "ul", "li", "article", "pre", "code", "button"}
    elements |= {
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "small",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
    }
    assert set(seen["names"]) <= elements | {"footer"}
    attributes = {"lang", "charset", "http-equiv", "content", "name", "class", "datetime", "href", "role", "scope"}
    attributes |= {"id", "type", "hidden", "tabindex", "aria-label", "aria-hidden", "aria-pressed"}
    assert set(seen["attributes"]) <= attributes
    assert all(re.fullmatch(r"#[a-z]+\d*", link) for link in seen["links"])
    assert (seen["lost"], seen["twice"], seen["unscoped"]) == ([], [], 0)
    observations = [seen for x in report.matrices for row in x.rows for _, many in row.cells for seen in many]
    assert seen["cells"] == len(observations)
    assert seen["sameData"]
    assert seen["title"] == f"{escape(report.title)} · netprobe bindtest"
    names = HOSTILE if HOSTILE[0] in report.title else ()
    for line in report.text.splitlines()[1:] if not names else map(escape, names):
        assert line in seen["text"]


def test_the_policy_stops_whatever_an_escaping_that_failed_would_let_in(browser: Chromium) -> None:
    attempt = """() => new Promise((done) => {
      const stopped = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        stopped.push(event.effectiveDirective);
        if (stopped.length === 5) done(stopped.sort());
      });
      const put = (name, attributes, text = "") => {
        const element = document.createElement(name);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        element.textContent = text;
        document.body.append(element);
        return element;
      };
      put("script", {}, "document.title = 'owned'");
      put("button", {onclick: "document.title = 'owned'"}).click();
      put("p", {style: "color: red"});
      put("img", {src: "http://192.0.2.1/"});
      fetch("http://192.0.2.1/").catch(() => {});
    })"""
    with browser.opened(page(REPORTS["one"])) as opened:
        stopped = opened.page.evaluate(attempt)
        assert opened.page.title() != "owned"
        directives = ["connect-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr"]
        assert stopped == directives
        opened.page.wait_for_timeout(0)
        assert {why for _, why in opened.stopped} == {"csp"}
        assert [opened.address, *(address for address, _ in opened.stopped)] == opened.requests


def test_a_card_leads_to_its_cells_and_a_cell_to_its_card(ordinary: Opened) -> None:
    link = ordinary.page.locator(".cause header a").first
    cell = ordinary.page.locator(str(link.get_attribute("href")))
    link.click()
    evidence = cell.locator("dl").first
    evidence.wait_for(state="visible")
    back = cell.get_by_role("link", name="the cause").first
    card = ordinary.page.locator(str(back.get_attribute("href")))
    back.click()
    ordinary.page.wait_for_url(f"**{back.get_attribute('href')}")
    assert link.get_attribute("href") in [a.get_attribute("href") for a in card.locator("header a").all()]


# What it looks like.


def test_nothing_is_cut_and_no_page_scrolls_sideways(browser: Chromium, report: Report) -> None:
    with browser.opened(page(report)) as opened:
        opened.page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        for width in WIDTHS_PX:
            opened.page.set_viewport_size({"width": width, "height": 900})
            seen = opened.measure(OVERFLOWING, width <= NARROW_PX)
            assert seen["page"] == width
            assert seen["overflowing"] == [], f"at {width} px"


@pytest.mark.parametrize("name", ["one", "ordinary"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out_from_their_ground(browser: Chromium, name: str, scheme: Any) -> None:
    with browser.opened(page(REPORTS[name]), color_scheme=scheme) as opened:
        opened.page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        for pressed in (False, True):
            if pressed:
                opened.page.click("#only")
            seen = opened.measure(CONTRAST)
            assert len(seen["texts"]) > 50
            assert len(seen["marks"]) > 5
            assert [text for text in seen["texts"] if text["ratio"] < 4.5] == []
            assert [mark for mark in seen["marks"] if mark["ratio"] < 3] == []
        ground = opened.measure("() => getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground))) < 128) == (scheme == "dark")


@pytest.mark.parametrize("name", ["one", "ordinary", "many"])
def test_paper_has_every_cause_and_every_table(browser: Chromium, tmp_path: Path, name: str) -> None:
    needs("pdftotext")
    report = REPORTS[name]
    file = tmp_path / "page.pdf"
    with browser.opened(page(report), color_scheme="dark") as opened:
        opened.page.locator(".matrix summary").first.click()
        opened.page.pdf(path=file, format="A4")
    wanted = ["".join(report.answer.text), *(entry.why for entry in report.untested)]
    for cause in report.causes:
        wanted += ["".join(cause.title), *("".join(text) for text in cause.because)]
    wanted += [command.line for cause in report.causes for command in cause.commands]
    wanted += [text for table in report.matrices for text in ("".join(table.title), *(x.name for x in table.headings))]
    wanted += ["".join(row.name) for table in report.matrices for row in table.rows]
    wanted += ["wildcard-binds-every-address, to-loopback"]  # of the cell that was open
    printed = _squeezed(subprocess.check_output(["pdftotext", "-raw", file, "-"], text=True))
    for text in wanted:
        assert _squeezed(text) in printed
    observations = [seen for x in report.matrices for row in x.rows for _, many in row.cells for seen in many]
    for word in ("wrong-responder", "expected reachable"):
        count = sum(word in (seen.word, f"expected {seen.expected}") for seen in observations)
        assert printed.count(_squeezed(word)) >= count
    assert "Onlydifferences" not in printed
    assert "Copy" not in printed


def _squeezed(text: str) -> str:
    """Without white space: lines are broken where the paper ends."""
    return re.sub(r"\s", "", text)


# What script adds.


def test_without_script_everything_can_be_read_and_no_tool_is_shown(browser: Chromium) -> None:
    with browser.opened(page(REPORTS["ordinary"]), java_script_enabled=False) as opened:
        assert not opened.page.locator(".tools").is_visible()
        assert opened.page.locator("button:visible").count() == 0
        evidence = opened.page.locator("#c1 dl").first
        assert not evidence.is_visible()
        opened.page.locator("#c1 summary").first.click()
        evidence.wait_for(state="visible")
        opened.page.locator(".text summary").click()
        opened.page.locator(".text pre").wait_for(state="visible")


@pytest.mark.parametrize("fragment", ["", "#only-differences"])
def test_the_filter_leaves_the_rows_with_a_difference(browser: Chromium, fragment: str) -> None:
    report = REPORTS["ordinary"]
    rows = [row.differs for matrix in report.matrices for row in matrix.rows]
    assert 0 < sum(rows) < len(rows)
    for width in (1280, 360):
        with browser.opened(page(report), width=width, fragment=fragment) as opened:
            button = opened.page.locator("#only")
            if not fragment:
                assert _rows_shown(opened) == [True] * len(rows)
                assert button.get_attribute("aria-pressed") == "false"
                button.click()
            assert _rows_shown(opened) == rows
            assert button.get_attribute("aria-pressed") == "true"
            assert opened.page.inner_text("#shown") == f"{sum(rows)} of {len(rows)} rows shown"
            button.click()
            assert _rows_shown(opened) == [True] * len(rows)


def _rows_shown(opened: Opened) -> list[bool]:
    return [row.is_visible() for row in opened.page.locator(".matrix tbody tr").all()]


def test_a_table_without_a_difference_is_left_out_whole(browser: Chromium) -> None:
    with browser.opened(page(REPORTS["one"]), fragment="#only-differences") as opened:
        assert not opened.page.locator(".matrix").is_visible()
        assert opened.page.inner_text("#shown") == "0 of 1 rows shown"


@pytest.mark.parametrize("refused", [False, True])
def test_copy_gives_the_command_on_one_line(browser: Chromium, refused: bool) -> None:
    command = REPORTS["ordinary"].causes[0].commands[1].line
    with browser.opened(page(REPORTS["ordinary"]), width=360, permissions=[] if refused else CLIPBOARD) as opened:
        if refused:
            opened.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
        button = opened.page.get_by_role("button", name=f"Copy: {command}")
        assert button.inner_text() == "Copy"
        button.click()
        opened.page.get_by_text("Copied").wait_for()
        assert _pasted(opened) == command
        assert opened.messages == []


CLIPBOARD = ["clipboard-read", "clipboard-write"]


def _pasted(opened: Opened) -> str:
    """What comes of Ctrl+V in another page."""
    other = opened.page.context.new_page()
    other.set_content("<textarea autofocus></textarea>")
    other.locator("textarea").press("Control+V")
    return other.locator("textarea").input_value()


# The style itself.


def test_the_style_names_no_class_that_no_page_has() -> None:
    pages = "".join(map(page, REPORTS.values()))
    style, script = (re.findall(f"<{name}>(.*?)</{name}>", pages, re.DOTALL)[0] for name in ("style", "script"))
    body = re.sub(r"<(style|script).*?</\1>", "", pages, flags=re.DOTALL)
    given = {name for names in re.findall(r' class="([^"]*)"', body) for name in names.split()}
    named = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", style, flags=re.DOTALL)))
    assert {name for name in named - given if f'"{name}"' not in script and name[:3] != "of-"} == set()

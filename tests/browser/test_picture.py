"""The SVG picture in a browser: it loads nothing, its text is whole and readable in any light, and stays text."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from netprobe.render import palette
from netprobe.render.svg import Piece, as_svg
from netprobe.text import escape
from tests.browser.chromium import Chromium
from tests.browser.reports import HOSTILE
from tests.browser.sight import COLOURS

pytestmark = pytest.mark.xdist_group("browser")

ROLES = {name: getattr(palette, name) for name in palette.__all__ if name.isupper()}
TABLE: list[list[Piece]] = [
    [("0.0.0.0:41234 is open to pc2", palette.ANSWER)],
    [],
    [("to          ", palette.LABEL), ("from here  ", palette.HEADING), ("from pc2", palette.HEADING), ("   ", "")],
    [("10.10.152.8", palette.VALUE), (" ", ""), ("✓  ", palette.EXPECTED), ("        ", ""), ("N!", palette.FAILURE)],
    [("  a remark  in two", palette.FINDING), (" 漢字", "")],
]
HARM: list[list[Piece]] = [[(name, style), (f" {name}", "")] for name in HOSTILE for style in ROLES.values()]
PIECES = """() => [...document.querySelectorAll("tspan")].map((span) => {
  const own = span.getClientRects()[0];
  return {text: span.textContent, left: own.left, right: own.right, top: own.top, bottom: own.bottom};
})"""
RATIOS = (
    "() => {"
    + COLOURS
    + """
  const below = parse(getComputedStyle(document.querySelector("rect")).fill);
  return [...document.querySelectorAll("tspan")]
    .map((span) => ({text: span.textContent, ratio: ratio(parse(getComputedStyle(span).fill), below)}));
}"""
)


def text_of(lines: list[list[Piece]]) -> list[str]:
    return ["".join(escape(text) for text, _ in line).rstrip(" ") for line in lines]


@pytest.mark.parametrize("lines", [TABLE, HARM, []], ids=["table", "harm", "nothing"])
def test_it_is_xml_and_its_text_is_what_the_terminal_shows(lines: list[list[Piece]]) -> None:
    root = ElementTree.fromstring(as_svg(lines, HOSTILE[0]))
    space = "{http://www.w3.org/2000/svg}"
    assert {element.tag.removeprefix(space) for element in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "tspan",
    }  # fmt: skip
    assert [root.findtext(f"{space}title")] == [HOSTILE[0]]
    assert ["".join(row.itertext()) for row in root.iter(f"{space}text")] == [line for line in text_of(lines) if line]


@pytest.mark.parametrize("lines", [TABLE, HARM], ids=["table", "harm"])
def test_nothing_is_loaded_and_nothing_is_cut(browser: Chromium, lines: list[list[Piece]]) -> None:
    with browser.opened(as_svg(lines, "a picture"), "picture.svg") as opened:
        pieces = opened.measure(PIECES)
        size = opened.measure("() => [document.documentElement.width, document.documentElement.height]"
                              ".map((length) => length.baseVal.value)")  # fmt: skip
        assert (opened.messages, opened.requests) == ([], [opened.address])
    assert len(pieces) > 5
    for piece in pieces:
        assert piece["left"] >= 0 and piece["top"] >= 0
        assert piece["right"] <= size[0] and piece["bottom"] <= size[1], piece["text"]
    for one, next_one in pairwise(pieces):
        if one["top"] == next_one["top"]:
            assert one["right"] <= next_one["left"] + 1, one["text"]


def test_columns_stand_below_each_other_in_a_font_that_is_no_monospaced_one(browser: Chromium) -> None:
    picture = as_svg(TABLE, "a picture").replace("ui-monospace, monospace", "DejaVu Serif, serif")
    with browser.opened(picture, "picture.svg") as opened:
        at = {piece["text"].strip(): piece["left"] for piece in opened.measure(PIECES)}
    assert at["from here"] == at["✓"]
    assert at["from pc2"] == at["N!"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_role_of_the_palette_stands_out_from_the_ground(browser: Chromium, scheme: Any) -> None:
    lines = [[(name, style)] for name, style in ROLES.items()]
    with browser.opened(as_svg(lines, "a picture"), "picture.svg", color_scheme=scheme) as opened:
        ratios = opened.measure(RATIOS)
        fills = opened.measure("() => [...document.querySelectorAll('tspan')].map((s) => getComputedStyle(s).fill)")
    assert len(ratios) == len(ROLES)
    assert [piece for piece in ratios if piece["ratio"] < 4.5] == []
    shown = dict(zip(ROLES, fills, strict=True))
    assert len({shown[name] for name in ("VALUE", "LABEL", "EXPECTED", "FAILURE", "FINDING")}) == 5


def test_its_text_can_be_copied_with_its_columns(browser: Chromium) -> None:
    with browser.opened(as_svg(TABLE, "a picture"), "picture.svg") as opened:
        text = opened.measure("() => { getSelection().selectAllChildren(document.documentElement); "
                              "return getSelection().toString(); }")  # fmt: skip
    for line in filter(None, text_of(TABLE)):
        assert line in text


def test_a_page_may_show_it_as_an_image(browser: Chromium) -> None:
    page = '<!DOCTYPE html><title>t</title><img src="picture.svg" alt="">'
    with browser.opened(as_svg(TABLE, "a picture"), "picture.svg"), browser.opened(page, "image.html") as opened:
        width = opened.measure("() => document.images[0].naturalWidth")
        assert width == round(32 + 8.43 * 31)
        assert [address.rpartition("/")[2] for address in opened.requests] == ["image.html", "picture.svg"]
        assert opened.messages == []

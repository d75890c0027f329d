"""What a person would see, measured in the page: functions for :meth:`~tests.browser.chromium.Opened.measure`.

Contrast is that of WCAG 2.2 (relative luminance; success criteria 1.4.3 and 1.4.11), of computed styles: of each text
with the ground that it really stands on, and of each mark's edge with the ground around it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COLOURS", "CONTRAST", "OVERFLOWING"]

# Elements whose content is wider than they are. A table may scroll within its frame, unless rows are blocks (narrow).
OVERFLOWING: Final = """([narrow]) => {
  const scrolls = narrow ? ".text pre" : ".text pre, .scroll";
  const found = [];
  for (const e of document.querySelectorAll("main, main *, header, footer")) {
    if (!e.clientWidth || e.scrollWidth <= e.clientWidth + 1 || e.matches(scrolls)) continue;
    if (narrow && e.closest("thead")) continue;  // there for screen readers only
    found.push(`${e.localName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}: ${e.textContent.slice(0, 80)}`);
  }
  for (const e of document.querySelectorAll("main .addr")) {
    const box = e.closest("td > div, th, h1, h3, p, dd, caption"), own = e.getBoundingClientRect();
    if (box && own.width && own.right > box.getBoundingClientRect().right + 1) found.push(`addr: ${e.textContent}`);
  }
  const sticky = document.querySelector(".matrix tbody th");
  if (!narrow && sticky.offsetWidth > innerWidth * 0.65) found.push(`the first column takes ${sticky.offsetWidth}`);
  return {page: document.documentElement.scrollWidth, overflowing: found};
}"""

COLOURS: Final = """
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return {r, g, b, a};
  };
  const over = (top, below) => Object.fromEntries(
    [..."rgb"].map((c) => [c, top[c] * top.a + below[c] * (1 - top.a)]).concat([["a", 1]]));
  const luminance = (colour) => {
    const [r, g, b] = [..."rgb"].map((c) => colour[c] / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, two) => {
    const [low, high] = [luminance(one), luminance(two)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      layers.push(parse(getComputedStyle(e).backgroundColor));
      if (layers.at(-1).a === 1) break;
    }
    if (layers.at(-1).a !== 1) throw new Error(`no ground below ${element.outerHTML}`);
    return layers.reverse().reduce((below, top) => over(top, below));
  };
"""

CONTRAST: Final = (
    "() => {"
    + COLOURS
    + """
  const texts = [], marks = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.checkVisibility() || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), below = ground(e);
    let opacity = 1;
    for (let up = e; up; up = up.parentElement) opacity *= Number(getComputedStyle(up).opacity);
    const colour = parse(style.color);
    colour.a *= opacity;
    texts.push({text: node.data.trim().slice(0, 40), ratio: ratio(over(colour, below), below)});
  }
  for (const e of document.querySelectorAll(".m")) {
    if (!e.checkVisibility()) continue;
    const around = ground(e.parentElement);
    marks.push({mark: e.textContent, ratio: ratio(over(parse(getComputedStyle(e).borderTopColor), around), around)});
  }
  return {texts, marks};
}"""
)

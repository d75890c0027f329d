"""What the README shows is what netprobe answers."""

from __future__ import annotations

import re

import pytest

from tests.lab.readme import NOT_SHOWN, PICTURE, README, answers, picture, said

pytestmark = pytest.mark.lab

VARYING = (
    (re.compile(r"\d+\.\d{3}(?=\D)"), "0.000"),  # how long something took
    (re.compile(r"(?<=appear as 127\.0\.0\.1:)\d+"), "PORT"),
    (re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"), "MAC"),
    (re.compile(r" {2,}"), "  "),  # columns are as wide as what is in them
)


def steady(text: str) -> str:
    """Without what is another each time."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


@pytest.fixture(scope="module")
def given() -> dict[str, str]:
    return answers([each.command for each in said(README.read_text("utf-8"))])


def test_each_command_answers_what_stands_below_it(given: dict[str, str]) -> None:
    shown = [each for each in said(README.read_text("utf-8")) if each.command not in NOT_SHOWN]
    assert len(shown) > 15
    for command, answer in shown:
        assert steady(given[command]) == steady(answer), command


def test_the_picture_is_what_netprobe_draws(given: dict[str, str]) -> None:
    assert picture(given) == PICTURE.read_text("utf-8")

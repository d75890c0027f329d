"""The ssh arguments of an inventory (``ansible_ssh_common_args`` and its like): words for the argv of a login. Pure.

An inventory is the user's own file, and what it says about a login is done as Ansible does it, also a
``ProxyCommand``. But the words only ever are options: no word can become the host or its command, and what would take
the prober's input or output away, or open something else, has no effect here or is refused.

Each option becomes one word (``-oKey=Value``), so that who reads the argv later need not know which take a value.
"""

from __future__ import annotations

import shlex
from functools import lru_cache
from typing import Final

from netprobe.errors import InvalidInputError

__all__ = ["parse_ssh_arguments"]

_PASSED_ON: Final = "46C"
_PASSED_ON_WITH_VALUE: Final = "BbcFIiJlmopS"
# Terminal, master, forwardings and what is logged are decided here.
_WITHOUT_EFFECT: Final = "AagKkMqTtvXxYy"
_WITHOUT_EFFECT_WITH_VALUE: Final = "DEeLRw"
_LONGEST: Final = 4 << 10  # characters


def parse_ssh_arguments(text: str, where: str) -> tuple[str, ...]:
    """The options in ``text``, which is split as a shell would; ``where`` is for the refusal."""
    if len(text) > _LONGEST:
        raise InvalidInputError(where, f"longer than {_LONGEST >> 10} KiB")
    if not text.isprintable():
        raise InvalidInputError(where, "has unprintable characters")
    if "{{" in text:
        raise InvalidInputError(where, "is a template", "ansible-inventory does not fill templates in: write the value")
    try:
        words = _split(text)
    except ValueError as error:
        raise InvalidInputError(where, str(error).lower()) from None
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        letters = word[1:] if word.startswith("-") and word != "--" else ""
        if not letters:
            raise InvalidInputError(where, f"'{word}' is not an option of ssh")
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _PASSED_ON:
                found.append(f"-{letter}")
            elif letter in _PASSED_ON_WITH_VALUE + _WITHOUT_EFFECT_WITH_VALUE:
                value = letters or next(rest, "")  # as getopt(3) does: the rest of the word, or the next one
                letters = ""
                if not value:
                    raise InvalidInputError(where, f"-{letter} needs a value")
                if letter in _PASSED_ON_WITH_VALUE:
                    # With ProxyCommand before it, ssh refuses -J, but not the same as an option.
                    found.append(f"-oProxyJump={value}" if letter == "J" else f"-{letter}{value}")
            elif letter not in _WITHOUT_EFFECT:
                raise InvalidInputError(where, f"-{letter} is no option for a login of netprobe")
    return tuple(found)


@lru_cache(1024)  # a group's are those of each of its hosts: 4 KiB take 5 ms
def _split(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))

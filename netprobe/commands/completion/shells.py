"""The scripts that make bash and zsh ask netprobe on Tab, where click's own do not do for values with a colon.

bash breaks words at ``:`` and ``=`` (COMP_WORDBREAKS), so that in ``--from netns:we`` it only completes ``we``, and
what is returned must not repeat ``netns:``. click's script hands over bash's broken words; this one hands over the
line, and the word that bash completes, and the common beginning is cut off here. COMP_WORDBREAKS itself is every
program's, and is left alone. In zsh a candidate that is a beginning (``ssh:``) gets no blank behind it; one with a
description is shown as ``value:description``, so the colons in it are escaped. fish does both by itself; only the
commas in a description would be taken for the end of it. None of them shows what is written to stderr.
"""

from __future__ import annotations

import os
from typing import Final

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

__all__ = ["register"]

_BASH: Final = """\
%(complete_func)s() {
    local IFS=$'\\n' line
    COMPREPLY=()
    while read -r line; do
        case "${line%%%%,*}" in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain) COMPREPLY+=("${line#*,}") ;;
            part) COMPREPLY+=("${line#*,}"); compopt -o nospace 2>/dev/null ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" %(complete_var)s=bash_complete \\
        "$1" </dev/null 2>/dev/null)
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH: Final = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local type key descr
    local -a plain described part part_described
    (( $+commands[%(prog_name)s] )) || return 1
    for type key descr in "${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s </dev/null 2>/dev/null)}"; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain) if [[ $descr == _ ]]; then plain+=("$key"); else described+=("$key:$descr"); fi ;;
            part) if [[ $descr == _ ]]; then part+=("$key"); else part_described+=("$key:$descr"); fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described
    (( $#plain )) && compadd -V unsorted -a plain
    (( $#part_described )) && _describe -V unsorted part_described -S ''
    (( $#part )) && compadd -V unsorted -S '' -a part
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class _Bash(BashComplete):
    """The line as it stands, split at blanks only."""

    source_template = _BASH

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._kept = 0  # characters of the word that bash has already

    @staticmethod
    def _check_version() -> None:
        """click would start bash to ask; ``nosort`` needs 4.4, which is of 2016."""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        incomplete = "" if not words or line[-1:].isspace() else words.pop()
        self._kept = max(0, len(incomplete) - len(os.environ.get("COMP_WORD", "")))
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        return f"{_kind(item)},{item.value[self._kept :]}"


class _Zsh(ZshComplete):
    """Values with their colons escaped where a description follows, and beginnings marked as such."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        value = item.value.replace(":", "\\:") if item.help else item.value
        return f"{_kind(item)}\n{value}\n{item.help or '_'}"


class _Fish(FishComplete):
    """Descriptions without commas: click's script takes one for the end."""

    def format_completion(self, item: CompletionItem) -> str:
        return super().format_completion(CompletionItem(item.value, item.type, (item.help or "").replace(",", ";")))


def _kind(item: CompletionItem) -> str:
    """``part`` where more is to be typed."""
    return "part" if item.type == "plain" and item.value.endswith((":", "=")) else str(item.type)


def register() -> None:
    """Let click use these; needed before it completes or prints a script."""
    add_completion_class(_Bash, "bash")
    add_completion_class(_Zsh, "zsh")
    add_completion_class(_Fish, "fish")

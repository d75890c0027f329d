"""JSON, TOML and YAML from anybody: what is too much is named, what is wrong is one line, nothing is constructed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import CannotRunError, InvalidInputError
from netprobe.reach.formats import ExcessError, load_json, load_toml, load_yaml

Load = Callable[[str, str], object]
values = st.recursive(
    st.text(max_size=5) | st.booleans() | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(values)
def test_json_is_read_as_ever(value: object) -> None:
    assert load_json(json.dumps(value), "f") == value


TOML = '''
# a comment [[[ """
title = "[[[ # \\" {{{ a.b.c.d.e"   # ]
'quoted.key' = \'\'\'
two 'lines' of a.b.c.d.e.f
\'\'\'
list = [1, 2.5, "x", {y = "z"}, """many "quotes" \\
  here"""]
[a.b]
when = 2026-11-01T00:00:00Z
"""" = 1
'''.replace('"""" = 1', '"k" = 1')


def test_toml_is_read_as_ever() -> None:
    assert load_toml(TOML, "f") == tomllib.loads(TOML)


YAML = """
# all kinds
plain: [2222, yes, 2024-13-01, 0x10, ~, null, '', "null", 1_000]
"quo\\tted": {a: &one {x: 1}, b: *one}
block: |
  two
  lines
merged:
  <<: [*one, {x: 2, y: 3}]
  z: 4
vault: !vault |
  $ANSIBLE_VAULT
typed: !!str 5
empty:
"""


def test_yaml_scalars_are_the_texts_that_were_written() -> None:
    assert load_yaml(YAML, "f") == {
        "plain": ["2222", "yes", "2024-13-01", "0x10", None, None, "", "null", "1_000"],
        "quo\tted": {"a": {"x": "1"}, "b": {"x": "1"}},
        "block": "two\nlines\n",
        "merged": {"x": "1", "y": "3", "z": "4"},
        "vault": "$ANSIBLE_VAULT\n",
        "typed": "5",
        "empty": None,
    }


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (load_json, '{"a":1,"b":[{"c":1,"c":2}]}'),
        (load_json, '{"a":' * 50_000),
        (load_json, '{"a":' + "1" * 5000 + "}"),
        (load_json, ""),
        (load_json, "nul"),
        (load_json, '{"a":"\x00"}'),
        (load_toml, "a = 1\na = 2"),
        (load_toml, "a = " + "[" * 50_000),
        (load_toml, "a = " + "{a = " * 20_000),
        (load_toml, 'a = "\\ud800"'),
        (load_toml, 'a = "\x00"'),
        (load_toml, '"""' * 5),
        (load_yaml, "a: [b"),
        (load_yaml, "a: 1\na: 2"),
        (load_yaml, "a: 1\n---\nb: 1"),
        (load_yaml, "[a]: 1"),
        (load_yaml, "a: *b"),
        (load_yaml, "a: {<<: 1}"),
        (load_yaml, "a: {<<: [[1]]}"),
        (load_yaml, "a: \x00"),
        (load_yaml, "\t\ta"),
        (load_yaml, "a: !!python/object/apply:os.system [true]"),
        (load_yaml, "a: !!binary x"),
        (load_yaml, "a: !other x"),
        (load_yaml, "a: !!set {b}"),
    ],
)
def test_what_is_wrong_is_one_short_line(load: Load, text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load(text, "f")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


M = 1 << 20
EXCESS: dict[str, tuple[Load, Callable[[], str]]] = {
    "lists": (load_json, lambda: "[" + "[]," * (4 * M) + "[]]"),
    "objects": (load_json, lambda: "[" + "{}," * (4 * M) + "{}]"),
    "keys": (load_json, lambda: "{" + ",".join(f'"{n}":1' for n in range(M)) + "}"),
    "numbers": (load_json, lambda: "[" + "300," * (4 * M) + "1]"),
    "a dotted key": (load_toml, lambda: "a" + ".a" * 100_000 + " = 1"),
    "a dotted, quoted key": (load_toml, lambda: '"a"' + ' . "a"' * 100_000 + " = 1"),
    "a dotted header": (load_toml, lambda: "[a" + ".a" * 100_000 + "]"),
    "a dotted key inside": (load_toml, lambda: "a = {a" + ".a" * 100_000 + " = 1}"),
    "many dotted keys": (load_toml, lambda: "".join(f"a.b.k{n} = 1\n" for n in range(100_000))),
    "an integer": (load_toml, lambda: "a = " + "1" * (3 * M)),
    "a hexadecimal": (load_toml, lambda: "a = 0x" + "f" * (3 * M)),
    "a float": (load_toml, lambda: "a = 1." + "1" * (3 * M)),
    "underscores": (load_toml, lambda: "a = " + "1_" * M),
    "an array": (load_toml, lambda: "a = [" + "1," * M + "]"),
    "tables": (load_toml, lambda: "[[a]]\n" * (M // 2)),
    "comments": (load_toml, lambda: "#\n" * M),
    "escapes": (load_toml, lambda: 'a = "' + "\\n" * M + '"'),
    "lines of a string": (load_toml, lambda: 'a = """' + '""\n' * M + '"""'),
    "quotes": (load_toml, lambda: '"' * (3 * M)),
    "a string": (load_toml, lambda: 'a = "' + "x" * (5 * M) + '"'),
    "spaces": (load_toml, lambda: " " * (5 * M)),
    "depth": (load_yaml, lambda: "- " * M),
    "nested mappings": (load_yaml, lambda: "".join(" " * n + "a:\n" for n in range(300))),
    "events": (load_yaml, lambda: "[" + "a," * M + "]"),
    "aliases": (load_yaml, lambda: "- &a x\n" + "- *a\n" * M),
    "an alias of itself": (load_yaml, lambda: "g: &a\n  children:\n    x: *a\n"),
    "merges": (
        load_yaml,
        lambda: "a: &a {x: 1}\nb: &b [" + "*a," * 50_000 + "]\n" + "".join(f"c{n}: {{<<: *b}}\n" for n in range(20)),
    ),
    "directives": (load_yaml, lambda: "".join(f"%TAG !e{n}! x\n" for n in range(30_000)) + "--- a"),
}


@pytest.mark.parametrize("what", EXCESS)
def test_what_is_too_much_is_refused_before_it_costs_anything(what: str) -> None:
    load, make = EXCESS[what]
    with pytest.raises(ExcessError):
        load(make(), "f")


def test_merges_of_merges_do_not_multiply() -> None:
    layers = (f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 9)}]}}\n" for n in range(1, 40))
    found = load_yaml("x0: &x0 {a: b}\n" + "".join(layers), "f")
    assert isinstance(found, dict)
    assert found["x39"] == {"a": "b"}


def test_without_libyaml_less_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = pytest.importorskip("yaml")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert load_yaml("a: {b: [c, ~]}", "f") == {"a": {"b": ["c", None]}}
    with pytest.raises(CannotRunError, match="256 KiB"):
        load_yaml("#" * (300 << 10), "f")

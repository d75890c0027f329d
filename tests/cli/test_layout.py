"""The walls of the house: imports run one way and in no circle, each library lives in one room, seams are typed.

Everything here is read from the source, imports under ``TYPE_CHECKING`` and inside functions included: what a module
needs for its types it needs.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from netprobe.verdicts import Verdict
from tests.conftest import needs

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "netprobe"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# The rooms from the door to the cellar. A module may import its own room and every lower tier, no sibling.
TIERS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"render"},
    {"netprobe"},  # __init__.py: the public names, loaded on first use
    {"api"},
    {"listeners"},
    {"reach", "bulk", "echo"},
    {"diagnosis"},
    {"interfaces", "address", "outcome", "prober"},
    {"kernel"},
    {"verdicts", "endpoints", "text", "files"},
    {"errors", "version"},
]
TIER_OF = {room: number for number, rooms in enumerate(TIERS) for room in rooms}
LIBRARY_LIVES_IN = {"click": {"cli", "commands"}, "rich": {"render"}, "netifaces": {"interfaces"}}
TRAVELS = {"prober", "kernel"}
LOOSE = ("netprobe.kernel", "netprobe.prober", "netprobe.render.writers", "netprobe.reach.messages")
UNTYPED_DICTS = 12  # in all modules together that are not LOOSE
PARAMETERS = 8
PURE_ROOMS = {"address", "outcome"}
PURE_MODULES = {"predict", "plan", "rules", "framing", "statistics", "attribute"}
IMPURE = {"socket", "_socket", "select", "selectors", "asyncio", "time", "os", "logging", "random", "secrets", "click",
          "rich", "subprocess", "threading", "multiprocessing"}  # fmt: skip
HOMONYMS = {
    "netprobe.outcome.failures": {"refused"},  # the id of a row
    "netprobe.render.classify": {"refused"},  # what a parser did with a spelling
}
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "netprobe", "tests", "man"}

each_module = pytest.mark.parametrize("module", MODULES)


def room_of(module: str) -> str:
    """The folder or file of netprobe that a module stands in."""
    return module.split(".")[1] if "." in module else module


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def imported_names(module: str) -> Iterator[str]:
    """Every dotted name in the import statements of ``module``, wherever they stand."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide where things come from"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of netprobe that ``module`` imports."""
    return frozenset(name for name in imported_names(module) if name in MODULES) - {module}


@cache
def reachable_from(module: str) -> frozenset[str]:
    """The modules that ``module`` imports, what those import, and so on."""
    found: set[str] = set()
    to_follow = set(imports_of(module))
    while to_follow:
        name = to_follow.pop()
        found.add(name)
        to_follow |= imports_of(name) - found
    return frozenset(found)


@each_module
def test_imports_run_one_way(module: str) -> None:
    here = room_of(module)
    assert here in TIER_OF, f"the design has no room {here}"
    for name in sorted(imports_of(module)):
        there = room_of(name)
        assert there in TIER_OF, f"{name}: the design has no room {there}"
        assert there == here or TIER_OF[there] > TIER_OF[here], f"{here} must not import {name}"


@each_module
def test_no_module_is_part_of_an_import_circle(module: str) -> None:
    assert sorted(name for name in reachable_from(module) if module in reachable_from(name)) == []


@each_module
def test_each_library_lives_in_one_room(module: str) -> None:
    for name in imported_names(module):
        rooms = LIBRARY_LIVES_IN.get(name.partition(".")[0])
        assert rooms is None or room_of(module) in rooms, f"{name} lives in {rooms}"


@pytest.mark.parametrize(
    "module", [name for name in MODULES if room_of(name) in PURE_ROOMS or name.rpartition(".")[2] in PURE_MODULES]
)
def test_a_pure_module_has_no_socket_no_clock_no_environment(module: str) -> None:
    assert {name.partition(".")[0] for name in imported_names(module)} & IMPURE == set()


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) == "prober"])
def test_what_travels_imports_only_what_travels(module: str) -> None:
    assert {room_of(name) for name in reachable_from(module)} <= TRAVELS


def test_the_map_shows_the_tiers() -> None:
    picture = re.search(r"```\n(.*?)```", (PACKAGE / "README.md").read_text("utf-8"), re.DOTALL)
    assert picture is not None
    rooms = {room_of(module) for module in MODULES}
    shown = [set(re.findall(r"\w+", row)) for row in picture[1].splitlines() if "│" not in row]
    expected = [{"__init__" if room == "netprobe" else room for room in tier & rooms} for tier in TIERS]
    assert [row & set().union(*expected) for row in shown] == [tier for tier in expected if tier]


@pytest.mark.parametrize("page", ["netprobe/README.md", "tests/README.md", ".github/CONTRIBUTING.md"])
def test_a_file_that_a_map_names_exists(page: str) -> None:
    folder = (ROOT / page).parent
    around = [ROOT, folder, PACKAGE, *(path.parent for path in PACKAGE.rglob("__init__.py")), ROOT / "tests" / "data"]
    named = set(re.findall(r"[\w./-]+\.(?:py|md)\b", (ROOT / page).read_text("utf-8")))
    assert sorted(name for name in named if not any((place / name).exists() for place in around)) == []


def test_seams_are_typed() -> None:
    loosely = re.compile(r"(?:Mapping|dict|Dict)\[str, Any\]")
    found = {
        module: len(loosely.findall(path.read_text("utf-8")))
        for module, path in MODULES.items()
        if not module.startswith(LOOSE)
    }
    assert sum(found.values()) <= UNTYPED_DICTS, {module: count for module, count in found.items() if count}


@each_module
def test_click_s_dictionary_ends_in_the_callback(module: str) -> None:
    assert re.findall(r"\boptions\[[\"']\w+", MODULES[module].read_text("utf-8")) == []


@each_module
def test_no_command_asks_for_the_format(module: str) -> None:
    """``output.format`` and ``self._output.format`` are for the writers, which stand in render."""
    if room_of(module) == "commands":
        assert [
            ast.unparse(node)
            for node in ast.walk(tree_of(module))
            if isinstance(node, ast.Attribute)
            and node.attr == "format"
            and ast.unparse(node.value).rpartition(".")[2].lstrip("_") == "output"
        ] == []


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) == "render"])
def test_renderers_take_typed_reports(module: str) -> None:
    assert [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.arg) and node.annotation is not None and "Any" in ast.unparse(node.annotation)
    ] == []


@pytest.mark.parametrize(
    "module", [name for name in MODULES if room_of(name) not in TRAVELS and name != "netprobe.verdicts"]
)
def test_a_verdict_is_never_spelled_as_text(module: str) -> None:
    words = {verdict.value for verdict in Verdict} - HOMONYMS.get(module, set())
    assert [
        f"line {node.lineno}: {node.value}"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Constant) and node.value in words
    ] == []


@each_module
def test_no_function_takes_more_than_eight_parameters(module: str) -> None:
    assert [
        f"{node.name} takes {len(parameters)}"
        for node in ast.walk(tree_of(module))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and len(parameters := list(parameters_of(node.args))) > PARAMETERS
    ] == []


def parameters_of(arguments: ast.arguments) -> Iterable[str]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in named if argument.arg not in ("self", "cls")]


# A fork of an interpreter that has imported nothing is as fresh as a new one, and does not have to start.
IMPORT_EACH_ALONE = """
import os, sys
for name in sys.argv[1:]:
    pid = os.fork()
    if not pid:
        __import__(name)
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{name} does not import alone")
"""


def test_every_module_imports_alone() -> None:
    argv = [sys.executable, "-W", "error", "-c", IMPORT_EACH_ALONE, *MODULES]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_modules_are_named_after_what_they_know() -> None:
    banned = {"utils", "util", "helpers", "helper", "manager", "handler", "common", "misc"}
    assert [name for name in MODULES if name.rpartition(".")[2] in banned] == []


def test_nothing_else_stands_at_the_top() -> None:
    needs("git")
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    ).stdout.split("\0")
    tops = {name.split("/")[0] for name in tracked if name}
    if not tops:
        pytest.skip("not a git checkout, so there is no list of what belongs to the project")
    assert {top for top in tops if not top.startswith(".")} == TOP_LEVEL


def test_the_public_api_is_lazy_and_needs_neither_click_nor_rich() -> None:
    program = (
        "import sys, netprobe; assert 'netprobe.api' not in sys.modules;"
        "netprobe.classify, netprobe.classify_many, netprobe.local_interfaces;"
        "netprobe.bindtest, netprobe.AddressError;"
        "print(sorted({'click', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")

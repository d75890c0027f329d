"""--save and --expect as a CI job uses them: exit status, the diff on stderr, files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run

PLAN = ("bindtest", "--addr", "127.0.0.1", "--tcp", "--from", "web1=exec:env", "--from", "web2=exec:env", "--json")
CHANGED = "tcp 127.0.0.1 at 127.0.0.1 from web2"


def changes(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["changes"]
    return found


@pytest.mark.parametrize("name", ["matrix.toml", "matrix.json"])
def test_the_same_plan_again_is_as_saved(netprobe: Run, tmp_path: Path, name: str) -> None:
    file = str(tmp_path / name)
    assert netprobe(*PLAN, "--save", file).status == 0
    before = Path(file).read_text("utf-8")
    again = netprobe(*PLAN, "--expect", file, "--save", file)
    assert (again.status, again.stderr, changes(again.stdout)) == (0, "", [])
    assert Path(file).read_text("utf-8") == before
    assert name != "matrix.json" or json.loads(before)["schema"] == "netprobe/expect/1"


@pytest.mark.parametrize("more", [(), ("-q",)])
def test_a_changed_cell_is_status_1_with_the_diff_also_when_quiet(
    netprobe: Run, tmp_path: Path, more: tuple[str, ...]
) -> None:
    file = tmp_path / "matrix.json"
    netprobe(*PLAN, "--save", str(file))
    saved = json.loads(file.read_text("utf-8"))
    (row,) = [x for x in saved["cell"] if (x["vantage"], x["destination"]) == ("web2", "127.0.0.1")]
    row["observed"] = "no-answer"
    file.write_text(json.dumps(saved), "utf-8")
    ran = netprobe(*PLAN, "--expect", str(file), *more)
    assert ran.status == 1
    assert ran.stderr == f"- {CHANGED}: no-answer\n+ {CHANGED}: reachable\n"
    assert changes(ran.stdout) == [
        {"where": CHANGED, "expected": "no-answer", "observed": "reachable", "line": None, "blame": None}
    ]


HANDWRITTEN = """
groups = {{ web = ["web*"] }}
[[cell]]
destination = "127.0.0.1"
vantage = "{who}"
observed = "{first}"
[[cell]]
observed = ["refused", "reachable"]
"""


@pytest.mark.parametrize(
    ("who", "first", "status"),
    [("group:web", "reachable", 0), ("*", "reachable", 0), ("web2", "refused", 1), ("group:web", "refused", 1)],
)
def test_a_short_handwritten_file(netprobe: Run, tmp_path: Path, who: str, first: str, status: int) -> None:
    file = tmp_path / "wanted.toml"
    file.write_text(HANDWRITTEN.format(who=who, first=first), "utf-8")
    ran = netprobe(*PLAN, "--expect", str(file))
    assert ran.status == status
    assert {x["where"].rpartition(" ")[2] for x in changes(ran.stdout)} == (
        set() if status == 0 else {"web1", "web2"} if who == "group:web" else {"web2"}
    )


def test_the_rules_do_not_count_where_a_file_is_compared(netprobe: Run, tmp_path: Path) -> None:
    file = tmp_path / "wanted.toml"
    file.write_text('[[cell]]\nobserved = ["reachable", "refused", "not-bindable"]\n', "utf-8")
    ran = netprobe("bindtest", "--addr", "127.0.0.1", "--tcp", "--expect", str(file), "--format", "plain")
    assert (ran.status, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("x = [", "not TOML"),
        ("{", "not JSON"),
        ('[[cell]]\nobserved = "open"', "'open' is not a verdict"),
        ('[[cell]]\nfrom = "x"\nobserved = "refused"', "unknown key 'from'"),
    ],
)
def test_a_file_that_is_wrong_is_status_2_before_anything_runs(
    netprobe: Run, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "wanted.toml"
    if text is not None:
        file.write_text(text, "utf-8")
    ran = netprobe(*PLAN, "--expect", str(file))
    assert ran.status == 2
    assert said in ran.stderr and len(ran.stderr.splitlines()) <= 2
    assert json.loads(ran.stdout)["results"] == []


@pytest.mark.parametrize("where", ["nowhere/matrix.toml", "."])
def test_a_file_that_cannot_be_saved_is_refused_before_the_run(netprobe: Run, tmp_path: Path, where: str) -> None:
    ran = netprobe(*PLAN, "--save", str(tmp_path / where))
    assert ran.status == 3
    assert json.loads(ran.stdout)["results"] == []


@pytest.mark.parametrize("option", ["--svg", "--html"])
def test_a_picture_that_cannot_be_written_is_refused_by_name(option: str, netprobe: Run, tmp_path: Path) -> None:
    ran = netprobe(*PLAN, option, str(tmp_path / "nowhere" / "picture"))
    assert (ran.status, json.loads(ran.stdout)["results"]) == (3, [])
    assert "its directory does not exist" in ran.stderr
    if Path("/dev/full").exists():
        ran = netprobe(*PLAN, option, "/dev/full")
        assert ran.status == 3
        assert ran.stderr.startswith("netprobe: /dev/full: No space left on device")


@pytest.mark.parametrize("option", ["--save", "--expect", "--inventory", "--svg", "--html"])
@pytest.mark.parametrize("manual", [("--listen-only",), ("--connect", "127.0.0.1:9", "--nonce", "00")])
def test_a_manual_run_has_no_matrix_to_save_or_compare(
    option: str, manual: tuple[str, ...], tmp_path: Path, netprobe: Run
) -> None:
    ran = netprobe("bindtest", *manual, option, str(tmp_path / "file.toml"))
    assert (ran.status, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"netprobe: {option}: is for a whole run")

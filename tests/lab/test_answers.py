"""What a person is shown of real networks: a firewall that drops, a vantage that fails, a NAT, and a run by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import NETPROBE, clean_environment
from tests.lab.conftest import BuildLab
from tests.lab.network import Lab

pytestmark = pytest.mark.lab

PORT = "41234"
DROP = f"""table inet filter {{
    chain input {{
        type filter hook input priority 0
        iifname "e1" tcp dport {PORT} drop
    }}
}}
"""
NAT = """table ip nat {
    chain postrouting {
        type nat hook postrouting priority 100
        oifname "e0" snat to 192.168.0.77
    }
}
"""


def shown(lab: Lab, *options: str, host: str = "pc1") -> tuple[int, str, str]:
    """Status, the table that a screen of 80 columns shows, and stderr."""
    argv = [str(NETPROBE), "bindtest", "--format", "table", *options]
    ran = lab[host].run(*argv, check=False, env=clean_environment({"COLUMNS": "80"}))
    return ran.returncode, ran.stdout, ran.stderr


def both(lab: Lab) -> list[str]:
    return ["--addr", "0.0.0.0", "--port", PORT, "--from", "local", "--from", f"pc2=netns:{lab['pc2'].network}"]


def test_a_rule_that_drops_is_one_finding_that_claims_nothing_unseen(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc1"].run("nft", "-f", "-", input=DROP)
    status, text, _ = shown(network, *both(network), "--timeout", "1")
    assert status == 1
    assert text == (
        f"0.0.0.0:{PORT} is open to this host and pc2; 1 of 16 cells differs\n"
        "\n"
        "  to           this host  pc2\n"
        "  127.0.0.1    ✓          R\n"
        "  192.168.0.1  ✓          ✓\n"
        "  10.10.152.8  ✓          N!/✓\n"
        "  0.0.0.0      ✓          R\n"
        "  ✓ reachable  R refused  N no-answer  ! not as expected\n"
        "  tcp/udp where they differ\n"
        "\n"
        "! tcp from pc2 to 10.10.152.8: expected reachable, no answer in 1 s\n"
        "  The question never reached the listener: this host has no connection of it;\n"
        "  udp on that path was answered.\n"
        "  What remains: a rule for tcp at pc2, on the path, or on this host; or packets\n"
        "  lost.\n"
        "  Ruled out: the routes (udp was answered).\n"
        "\n"
        "Not tested: other hosts, other ports, IPv6, large packets (--payload).\n"
        "\n"
        "Look yourself:\n"
        "  sudo nft -a list ruleset\n"
        f"  sudo netprobe bindtest {' '.join(both(network))} --timeout 1 --trace\n"
        "Look yourself, on pc2:\n"
        "  sudo nft -a list ruleset\n"
    )


def test_a_change_is_told_once_with_its_line_and_how_to_accept_it(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    file = tmp_path / "before.toml"
    assert shown(network, *both(network), "--save", str(file))[0] == 0
    status, text, errors = shown(network, *both(network), "--expect", str(file))
    assert (status, errors) == (0, "")
    assert " ".join(text.split()).startswith(
        f"0.0.0.0:{PORT} is open to this host and pc2 ✓ all 16 cells as in {file} Not"
    )
    network["pc1"].run("nft", "-f", "-", input=DROP)
    status, text, errors = shown(network, *both(network), "--timeout", "1", "--expect", str(file))
    assert (status, errors) == (1, "")
    assert "; 1 of 16 cells changed\n\n  tcp 0.0.0.0 at 10.10.152.8 from pc2\n  - reachable" in text
    (line,) = re.findall(r"- reachable .*line (\d+)", text.replace("\n    ", " "))
    assert file.read_text("utf-8").splitlines()[int(line) - 1] == "[[cell]]"
    assert f"15 other cells as in {file}" in text
    assert text.splitlines()[-1].endswith(f"--timeout 1 --save {file}")
    assert "--expect" not in text.splitlines()[-1]


def test_a_vantage_that_fails_is_told_first_and_has_no_column(lab: BuildLab, tmp_path: Path) -> None:
    network = lab("pc1-pc2")
    page = tmp_path / "page.html"
    options = ("--addr", "0.0.0.0", "--from", "local", "--from", "web1=exec:false", "--html", str(page))
    status, text, errors = shown(network, *options)
    assert status == 1
    assert errors == "netprobe: web1: exec ended with status 1\n"
    assert re.match(r"0\.0\.0\.0:\d+ is open to this host; web1 was not asked: exec ended with status 1\n", text)
    assert "✓ all 8 cells that were asked are as expected\n" in text
    assert "  to           this host\n" in text
    assert text.endswith("Not tested: web1 and all other hosts.\n")
    table, _, data = page.read_text("utf-8").partition('id="netprobe-data">')
    assert ">from this host<" in table and ">from web1<" not in table
    cells = json.loads(data.partition("</script>")[0])["results"]
    assert [cell["observed"] for cell in cells if cell["vantage"] == "web1"] == ["not-tested"] * 8


def test_a_nat_is_one_remark(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    network["pc2"].run("ip", "addr", "add", "192.168.0.77/24", "dev", "e0")
    network["pc2"].run("nft", "-f", "-", input=NAT)
    status, text, _ = shown(network, *both(network))
    assert status == 0
    assert "  192.168.0.1  ✓          ✓*\n" in text
    assert (
        "* from pc2 to 192.168.0.1 (2 cells): reached through a NAT\n"
        "  pc2 sends from 192.168.0.2; this host sees 192.168.0.77.\n"
    ) in text


def test_by_hand_the_printed_line_works_and_the_reply_names_the_bind_address(lab: BuildLab) -> None:
    network = lab("pc1-pc2")
    options = ("--addr", "0.0.0.0", "--port", PORT, "--listen-only", "--keep", "60", "--format", "table")
    environment = clean_environment({"COLUMNS": "40"})
    process = network["pc1"].start(str(NETPROBE), "bindtest", *options, env=environment)
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("This host's"):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        assert lines[0] == f"listening on 0.0.0.0:{PORT}, tcp and udp, for 60 s\n"
        assert lines[1:3] == ["\n", "On the other machine:\n"]
        assert lines[4] == "This host's other address: 10.10.152.8\n"
        line = lines[3].strip().replace("netprobe", str(NETPROBE), 1)
        there = network["pc2"].run("sh", "-c", f"{line} --format table", env=environment)
        assert " ".join(there.stdout.split("\n\n")[0].split()) == (
            f"192.168.0.1:{PORT} (bound to 0.0.0.0) is open to this machine ✓ all 2 cells as expected"
        )
        assert "Next" not in there.stdout  # neither --from nor --listen-only goes with --connect
        arrival = process.stdout.readline()
        assert "reached by the other side from 192.168.0.2" in arrival
    finally:
        process.terminate()
        process.communicate(timeout=20)

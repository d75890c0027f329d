"""netprobe bindtest as people run it: keys, exit statuses, views, and nothing left behind."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netprobe as public
from tests.conftest import NETPROBE, Ran, Run, cannot_run, clean_environment, needs, run_in_terminal

KEYS = [
    "bind", "port", "protocol", "destination", "vantage", "expected", "observed", "because", "cause", "errno", "source",
    "replied_from", "rtt_ms", "differs", "difference", "icmp", "observed_source", "payload_bytes", "rules", "bind_name",
    "destination_name",
    "blame",
]  # fmt: skip


def results(ran: Ran) -> list[dict[str, Any]]:
    document = json.loads(ran.stdout)
    assert document["schema"] == "netprobe/bindtest/1"
    cells: list[dict[str, Any]] = document["results"]
    return cells


def test_the_keys_are_kept(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--addr", "0.0.0.0", "--json")
    assert ran.status == 0
    assert all(list(cell) == KEYS for cell in results(ran))
    document = json.loads(ran.stdout)
    run = ["at", "took_s", "version", "command", "status", "host", "not_tested", "vantages"]
    assert list(document) == ["schema", "conclusions", *run, "results", "errors"]
    assert document["command"] == "netprobe bindtest --addr 0.0.0.0"
    assert document["status"] == 0
    assert [vantage["spec"] for vantage in document["vantages"]] == ["local"]
    assert [entry["what"] for entry in document["not_tested"]] == ["other hosts"]


def test_every_cell_of_this_host_is_as_expected(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--json")
    cells = results(ran)
    assert [cell for cell in cells if cell["expected"] != cell["observed"]] == []
    assert ran.status == 0
    assert {"0.0.0.0", "127.0.0.1"} <= {cell["bind"] for cell in cells}
    assert {cell["protocol"] for cell in cells} == {"tcp", "udp"}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_one_protocol_alone(netprobe: Run, protocol: str) -> None:
    ran = netprobe("bindtest", "--addr", "127.0.0.1", f"--{protocol}", "--json")
    assert {cell["protocol"] for cell in results(ran)} == {protocol}


def test_a_port_in_use_is_named(netprobe: Run) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        ran = netprobe("bindtest", "--addr", "127.0.0.1", "--tcp", "--port", str(port), "--json")
    assert ran.status == 3
    assert f"port {port} is already in use" in ran.stderr
    assert {cell["observed"] for cell in results(ran)} == {"not-bindable"}
    assert {cell["errno"] for cell in results(ran)} == {"EADDRINUSE"}


def test_an_address_that_this_host_lacks_is_refused_with_those_it_has(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--addr", "198.51.100.77")
    assert ran.status == 3
    assert "no interface of this host has that address" in ran.stderr
    assert "127.0.0.1" in ran.stderr.partition("hint:")[2]


def test_a_port_below_1024_needs_a_privilege() -> None:
    command = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--port", "7", "--tcp"]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-net_bind_service", *command]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False)
    assert done.returncode == 3
    assert "ports below 1024 need root or CAP_NET_BIND_SERVICE" in done.stderr
    assert "1024" in done.stderr.partition("hint:")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--addr", "300.1.1.1"), "300.1.1.1"),
        (("--addr", "127.1"), "127.1"),
        (("--to", "192.0.2.300"), "192.0.2.300"),
        (("--to", "line\nfeed"), "line\\nfeed"),
        (("--addr", "\u202egnp"), "cannot be printed"),
        (("--addr", "-x"), "hyphen"),
        (("--addr", ".".join(["abcdefghi"] * 30)), "more than 253"),
        (("--to", f"{'a' * 64}.invalid"), "1 to 63"),
        (("--source", "x"), "x"),
        (("--port", "70000"), "70000"),
        (("--connect", "192.0.2.1:80"), "--nonce"),
        (("--connect", "192.0.2.1", "--nonce", "x"), "HOST:PORT"),
        (("--connect", f"{'a' * 64}.invalid:9", "--nonce", "x"), "1 to 63"),
        (("--timeout", "0"), "timeout"),
    ],
)
def test_wrong_usage_is_status_2(netprobe: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = netprobe("bindtest", *arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert words in ran.stderr


def test_an_answer_from_another_address_is_reachable_with_a_remark(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--addr", "0.0.0.0", "--to", "127.0.0.2", "--udp", "--json")
    cell = next(cell for cell in results(ran) if cell["destination"] == "127.0.0.2")
    assert cell["observed"] == "reachable"
    assert cell["replied_from"] == "127.0.0.1"
    assert "connected client would see silence" in cell["cause"]


def test_the_document_s_wrong_cells_hold_with_a_bound_source(netprobe: Run) -> None:
    arguments = ("bindtest", "--addr", "127.0.0.3", "--tcp", "--json")
    plain = {cell["destination"]: cell for cell in results(netprobe(*arguments))}
    bound = {cell["destination"]: cell for cell in results(netprobe(*arguments, "--source", "127.0.0.3"))}
    assert plain["0.0.0.0"]["observed"] == plain["0.0.0.0"]["expected"] == "refused"
    assert bound["0.0.0.0"]["observed"] == bound["0.0.0.0"]["expected"] == "reachable"


def test_payload_goes_through_and_back(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--addr", "127.0.0.1", "--payload", "200000", "--json")
    there = {c["protocol"]: c["payload_bytes"] for c in results(ran) if c["destination"] == "127.0.0.1"}
    assert there == {"tcp": 200_000, "udp": 60_000}


def test_explain_names_every_rule_that_applied(netprobe: Run) -> None:
    document = json.loads(netprobe("bindtest", "--addr", "0.0.0.0", "--explain", "--json").stdout)
    named = {rule["id"] for rule in document["rules"]}
    assert named == {name for cell in document["results"] for name in cell["rules"]}
    assert "to-any4-loopback" in named


def test_csv_has_a_cell_a_line(netprobe: Run) -> None:
    ran = netprobe("bindtest", "--addr", "0.0.0.0", "--tcp", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert {row["destination"] for row in rows} >= {"127.0.0.1", "0.0.0.0"}
    assert {row["observed"] for row in rows} == {"reachable"}


def test_the_picture_and_the_page_are_of_the_same_run(netprobe: Run, tmp_path: Path) -> None:
    svg, html = tmp_path / "m.svg", tmp_path / "m.html"
    ran = netprobe("bindtest", "--addr", "0.0.0.0", "--json", "--svg", str(svg), "--html", str(html))
    assert ran.status == 0
    assert svg.read_text("utf-8").startswith("<svg")
    page = html.read_text("utf-8")
    (answer,) = [conclusion["text"] for conclusion in json.loads(ran.stdout)["conclusions"]]
    for text in (svg.read_text("utf-8"), page):
        assert answer in text
    _, _, data = page.partition('id="netprobe-data">')
    assert json.loads(data.partition("</script>")[0]) == json.loads(ran.stdout)


def test_the_command_of_a_run_is_what_counted_however_it_was_given_and_no_secret(netprobe: Run) -> None:
    given = {"NETPROBE_BINDTEST_TIMEOUT": "0.5", "NETPROBE_BINDTEST_NONCE": "5ec2e7"}
    ran = netprobe("bindtest", "--v6only", "--tcp", "--addr", "::1", "--json", env=given)
    command = json.loads(ran.stdout)["command"]
    assert sorted(command.split()[2:]) == sorted(["--addr", "::1", "--tcp", "--timeout", "0.5", "--v6only"])
    assert "5ec2e7" not in ran.stdout + ran.stderr


def plain_text(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)


def test_the_matrix_reads_at_a_glance_in_80_columns() -> None:
    ran = run_in_terminal([str(NETPROBE), "bindtest", "--addr", "0.0.0.0", "--addr", "127.0.0.1"], 80)
    text = plain_text(ran.stdout)
    assert re.match(r"0\.0\.0\.0:\d+ is open to this host on every IPv4 address it has\n", text)
    assert re.search(r"^  to +0\.0\.0\.0 +127\.0\.0\.1$", text, re.M)
    assert re.search(r"^  127\.0\.0\.1 +✓ +✓$", text, re.M)
    assert "✓ reachable" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("columns", [40, 20, 200])
def test_an_address_is_never_cut(columns: int) -> None:
    arguments = ["--addr", "::1", "--addr", "127.0.0.1", "--addr", "0.0.0.0", "--addr", "::"]
    ran = run_in_terminal([str(NETPROBE), "bindtest", "--to", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "--timeout",
                           "0.2", "--matrix", *arguments], columns)  # fmt: skip
    text = plain_text(ran.stdout)
    assert "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff" in text
    assert "…" not in text


def test_a_mark_reads_without_colour() -> None:
    ran = run_in_terminal([str(NETPROBE), "bindtest", "--addr", "127.0.0.1"], 80, env={"NO_COLOR": "1"})
    assert "\x1b[" not in ran.stdout
    assert "R refused" in ran.stdout


def test_a_line_to_paste_is_never_folded() -> None:
    argv = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--listen-only", "--keep", "3"]
    ran = run_in_terminal(argv, 40)
    lines = plain_text(ran.stdout).splitlines()
    assert re.match(r"listening on 127\.0\.0\.1:\d+, tcp and", lines[0])
    command = lines[lines.index("On this host (no other can connect):") + 1]
    assert re.fullmatch(r"  NETPROBE_BINDTEST_NONCE=[0-9a-f]{32} netprobe bindtest --connect 127\.0\.0\.1:\d+", command)


def test_dumb_terminals_and_ascii_ones_get_what_they_can_show() -> None:
    argv = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1"]
    dumb = run_in_terminal(argv, 80, env={"TERM": "dumb"})
    assert "\x1b" not in dumb.stdout
    plain = run_in_terminal(argv, 80, env={"PYTHONIOENCODING": "ascii", "TERM": "dumb"})
    assert plain.stdout.isascii()
    assert "o all " in plain.stdout


def test_wide_has_words() -> None:
    ran = run_in_terminal([str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--wide"], 120)
    assert "127.0.0.1  tcp  reachable" in plain_text(ran.stdout)
    assert "✓ reachable" not in plain_text(ran.stdout)


def in_a_namespace(command: str) -> subprocess.Popen[str]:
    """netprobe in a network namespace of its own, prepared by the shell ``command`` before it."""
    needs("ip")
    argv = ["unshare", "-rn", "bash", "-c", f"{command}", str(NETPROBE)]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(), start_new_session=True
    )


@pytest.fixture
def alone() -> Callable[[str], Ran]:
    """Run a script in a namespace with nothing but ``lo`` (down at first); ``$0`` is netprobe."""

    def run(script: str) -> Ran:
        process = in_a_namespace(script)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        if "unshare failed" in err:
            cannot_run("no user namespaces here")
        return Ran(process.returncode, out, err)

    return run


@pytest.mark.lab
def test_no_network_but_lo(alone: Callable[[str], Ran]) -> None:
    ran = alone("ip link set lo up; exec $0 bindtest --json")
    assert ran.status == 0, ran.stderr
    assert {c["bind"] for c in results(ran)} == {"127.0.0.1", "0.0.0.0", "::1", "::"}


@pytest.mark.lab
@pytest.mark.parametrize("name", [r"e\033[31m", r"e\377", r"\303\2740", r"\302\2331m", "7"])
def test_a_host_whose_interface_has_any_name_is_tested_whole(alone: Callable[[str], Ran], name: str) -> None:
    """A kernel takes nearly any 15 bytes (dev_valid_name): what is no text goes by its number."""
    script = (
        f"N=$(printf '{name}'); ip link set lo up; ip link add \"$N\" type veth peer name p1;"
        'echo 0 > "/proc/sys/net/ipv6/conf/$N/accept_dad"; ip link set "$N" up; ip link set p1 up;'
        'ip addr add fe80::77/64 dev "$N" nodad;'
        "exec $0 bindtest --tcp --from local --from e=exec:env --timeout 1 --patience 0 --json"
    )
    ran = alone(script)
    assert ran.status == 0, ran.stderr or ran.stdout
    cells = results(ran)
    found = {(c["vantage"], c["bind"] == "::", c["observed"]) for c in cells
             if "fe80::77" in c["destination"] and (c["bind"] == "::" or "fe80::77" in c["bind"])}  # fmt: skip
    assert found == {(name, wildcard, "reachable") for name in ("local", "e") for wildcard in (True, False)}


@pytest.mark.lab
def test_a_host_of_any_name_is_tested(alone: Callable[[str], Ran]) -> None:
    """sethostname(2) takes any bytes."""
    ran = alone(
        r"exec unshare -u bash -c 'ip link set lo up; printf \"e\377\033[31m\" > /proc/sys/kernel/hostname;"
        " exec $0 bindtest -v --addr 0.0.0.0 --tcp --from local --from e=exec:env --json' $0"
    )
    assert ran.status == 0, ran.stderr
    assert "\x1b" not in ran.stderr and "[31m" in ran.stderr
    assert {c["observed"] for c in results(ran)} == {"reachable"}


@pytest.mark.lab
def test_lo_down(alone: Callable[[str], Ran]) -> None:
    ran = alone("exec $0 bindtest --json --timeout 0.3")
    assert ran.status == 0, ran.stdout
    assert {c["observed"] for c in results(ran)} <= {"no-answer", "unreachable"}


@pytest.mark.lab
def test_no_ipv6_at_all(alone: Callable[[str], Ran]) -> None:
    off = "for f in all default lo; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done"
    ran = alone(f"ip link set lo up; {off}; exec $0 bindtest --json")
    assert ran.status == 0, ran.stdout
    assert {c["observed"] for c in results(ran) if ":" in c["destination"]} <= {"unreachable"}


@pytest.mark.lab
def test_few_descriptors(alone: Callable[[str], Ran]) -> None:
    many = "for n in $(seq 2 12); do ip addr add 10.0.0.$n/24 dev lo; done"
    ran = alone(f"ip link set lo up; {many}; ulimit -n 128; exec $0 bindtest --json")
    assert ran.status == 0, ran.stderr
    cells = results(ran)
    assert len(cells) > 300
    assert {c["observed"] for c in cells} == {"reachable", "refused"}


@pytest.mark.lab
def test_an_address_that_vanishes_during_the_run_is_reported(alone: Callable[[str], Ran]) -> None:
    """The listener is held up by a silent cell; meanwhile its address goes."""
    script = (
        "ip link set lo up; ip link add d0 type veth peer name d1; ip addr add 10.9.0.1/24 dev d0;"
        "ip link set d1 up; ip link set d0 up;"
        "$0 bindtest --addr 10.9.0.1 --listen-only --keep 20 > $1 & P=$!;"
        "until grep -q machine $1; do kill -0 $P || exit 9; sleep 0.02; done;"
        "C=$(sed -n 's/^on the other machine: //p' $1); ip addr del 10.9.0.1/24 dev d0;"
        'eval "${C/ netprobe / $0 }" --timeout 0.3 --json; S=$?; kill -INT $P; wait $P; exit $S'
    )
    ran = alone(f"set -- $(mktemp); {script}")
    assert ran.status == 1, ran.stderr
    assert {c["observed"] for c in results(ran)} <= {"no-answer", "unreachable"}


@pytest.mark.lab
def test_ctrl_c_gives_what_is_known_and_leaves_nothing() -> None:
    """A silent cell keeps the run going; Ctrl-C comes while it waits."""
    script = (
        "ip link set lo up; ip link add d0 type veth peer name d1; ip addr add 10.9.0.1/24 dev d0;"
        "ip link set d1 up; ip link set d0 up;"
        "exec $0 bindtest --addr 0.0.0.0 --to 10.9.0.99 --tcp --timeout 30 --format ndjson"
    )
    process = in_a_namespace(script)
    assert process.stdout is not None and process.stderr is not None
    first = process.stdout.readline()
    if not first:
        cannot_run(f"no namespace: {process.stderr.read()}")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    cells = [json.loads(line) for line in (first + out).splitlines()]
    assert {c["destination"]: c["observed"] for c in cells if "9" in c["destination"][-2:]} == {
        "10.9.0.99": "not-tested",
    }
    assert next(c for c in cells if c["destination"] == "10.9.0.99")["cause"] == "interrupted by Ctrl-C"
    assert "Traceback" not in err
    assert err.rstrip().endswith("netprobe: interrupted")


def at_the_other_side(line: str) -> subprocess.CompletedProcess[str]:
    """Type a line as it was printed, in a shell."""
    env = clean_environment({"PATH": f"{NETPROBE.parent}:{os.environ['PATH']}"})
    return subprocess.run(["bash"], input=line, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_two_machines_without_a_login() -> None:
    """One side prints the command, the other side runs it."""
    listening = subprocess.Popen(
        [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--listen-only", "--keep", "30", "--format", "ndjson"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    try:
        assert listening.stdout is not None
        offers = [json.loads(listening.stdout.readline()) for _ in range(3)]
        assert [offer["event"] for offer in offers] == ["listening", "listening", "command"]
        there = at_the_other_side(f"{offers[2]['command']} --json")
        assert there.returncode == 0, there.stderr
        cells = json.loads(there.stdout)["results"]
        assert {(c["bind"], c["observed"]) for c in cells} == {("127.0.0.1", "reachable")}
        visits = [json.loads(listening.stdout.readline()) for _ in range(2)]
        assert [visit["event"] for visit in visits] == ["arrival", "arrival"]
        wrong = at_the_other_side(f"{offers[2]['command']} --nonce guess --tcp --timeout 0.3")
        assert wrong.returncode == 1
        assert json.loads(listening.stdout.readline())["event"] == "stranger"
        listening.send_signal(signal.SIGINT)
        assert listening.wait(10) == 0
    finally:
        listening.kill()
        listening.communicate()


def test_keep_reports_who_comes() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [str(NETPROBE), "bindtest", "--addr", "127.0.0.1", "--tcp", "--port", str(port), "--keep", "30"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    )
    try:
        assert process.stderr is not None
        while "still listening" not in process.stderr.readline():
            pass
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"hello\n")
            own = client.getsockname()[1]
            assert f"a stranger from 127.0.0.1 port {own}" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_public_function() -> None:
    cells = public.bindtest(["127.0.0.1"], udp=False)
    assert {cell.destination: cell.observed for cell in cells}["127.0.0.1"] == "reachable"
    with pytest.raises(public.CannotRunError):
        public.bindtest(["198.51.100.77"])
    with pytest.raises(public.AddressError):
        public.bindtest(["127.1"])


def test_a_piped_run_loads_no_screen_and_no_readers(netprobe: Run) -> None:
    program = (
        "import sys; from netprobe.cli import run; run(['bindtest', '--addr', '127.0.0.1', '-q']);"
        "print(*sorted({'rich', 'asyncio', 'netifaces', 'importlib.metadata'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([NETPROBE.with_name("python"), "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"

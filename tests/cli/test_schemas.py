"""The JSON of every command, pinned: within a schema number keys are only ever added (and the snapshot renewed)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NETPROBE, Run, clean_environment

SNAPSHOTS = Path(__file__).parents[1] / "data" / "schemas"

COMMANDS = {
    "classify": ["classify", "172.20.1.5/24", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "ff02::1:ff00:1", "fd00::1"],
    "classify-lenient": ["classify", "--lenient", "--here", "127.1"],
    "classify-registry": ["classify", "--registry"],
    "classify-kinds": ["classify", "--kinds"],
    "interfaces": ["interfaces"],
    "bindtest": ["bindtest", "--addr", "127.0.0.1"],
}


def skeleton(value: Any) -> Any:
    """The keys of a JSON value in their order, without what is in them; a list is what its longest entry is."""
    if isinstance(value, dict):
        return {key: skeleton(entry) for key, entry in value.items()}
    if isinstance(value, list):
        kept = [skeleton(entry) for entry in value if isinstance(entry, (dict, list))]
        return [_union(kept)] if kept else []
    return None


def _union(skeletons: list[Any]) -> Any:
    """What any of the entries has; a key that is an object in one of them is an object."""
    if not all(isinstance(entry, dict) for entry in skeletons):
        return max(skeletons, key=lambda entry: len(json.dumps(entry)))
    keys = list(dict.fromkeys(key for entry in skeletons for key in entry))
    return {key: _widest([entry[key] for entry in skeletons if key in entry]) for key in keys}


def _widest(values: list[Any]) -> Any:
    objects = [value for value in values if isinstance(value, dict)]
    if objects:
        return _union(objects)
    return max(values, key=lambda value: len(json.dumps(value)))


def hold(name: str, document: Any) -> None:
    """Compare with the snapshot; NETPROBE_RENEW_SNAPSHOTS=1 writes it instead."""
    path = SNAPSHOTS / f"{name}.json"
    found = json.dumps(skeleton(document), indent=1) + "\n"
    if os.environ.get("NETPROBE_RENEW_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, "utf-8")
    assert found == path.read_text("utf-8"), f"{name}: keys changed; NETPROBE_RENEW_SNAPSHOTS=1 renews the snapshot"


@pytest.mark.parametrize(("name", "arguments"), COMMANDS.items(), ids=COMMANDS)
def test_the_document_of_a_command_keeps_its_keys(name: str, arguments: list[str], netprobe: Run) -> None:
    ran = netprobe(*arguments, "--json")
    assert ran.status == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert next(iter(document)) == "schema"
    assert list(document)[-2:] == ["results", "errors"]
    if name == "interfaces":  # what a host has differs, but not the keys of an address
        document["results"] = [entry for entry in document["results"] if entry["kind"] == "loopback"]
    if name == "bindtest":
        document["host"]["addresses"] = document["host"]["addresses"] or [{"address": "", "interface": ""}]
    hold(name, document)


def test_the_events_of_a_server_keep_their_keys() -> None:
    server = subprocess.Popen(
        [NETPROBE, "echo", "serve", "--port", "0", "--json", "--log"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert server.stdout is not None
    events = [json.loads(server.stdout.readline())]
    with socket.create_connection(("127.0.0.1", events[0]["port"]), timeout=20) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    while events[-1]["event"] != "ended":
        events.append(json.loads(server.stdout.readline()))
    server.terminate()
    out, _ = server.communicate(timeout=20)
    events += [json.loads(line) for line in out.splitlines()]
    hold("echo-serve", {event["event"]: event for event in events})


@pytest.mark.parametrize(
    "command", [["send", "x", "--to"], ["ping", "--count", "1"], ["load", "--count", "5"]], ids=["send", "ping", "load"]
)
def test_the_documents_of_the_clients_keep_their_keys(command: list[str], netprobe: Run) -> None:
    with subprocess.Popen(
        [NETPROBE, "echo", "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        ran = netprobe("echo", *command, f"127.0.0.1:{port}", "--json")
        server.terminate()
    assert ran.status == 0, ran.stderr
    hold(f"echo-{command[0]}", json.loads(ran.stdout))


def test_the_keys_that_scripts_were_promised_first_come_first() -> None:
    kept = json.loads((SNAPSHOTS / "bindtest.json").read_text("utf-8"))["results"][0]
    promised = "bind port protocol destination vantage expected observed because cause errno source replied_from rtt_ms"
    assert list(kept)[:13] == promised.split()

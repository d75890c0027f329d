"""The hello: what the prediction needs to know of the place where this prober runs.

Links and addresses come from rtnetlink where there is one, because that is the only source without a child process that
knows links, scopes and addresses which cannot be used yet. ``netifaces`` cannot travel (it is compiled), so elsewhere
the addresses are those that the host's own name stands for.

Which source address leads to a destination is asked of a connected UDP socket: the kernel then applies all its rules,
tables and marks, and no packet is sent.
"""

import os
import platform
import socket
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from netprobe.kernel import error_queue, rtnetlink
from netprobe.prober.sockets import errno_name, is_link_local, socket_address

__all__ = ["ANY_ZONE", "REQUEST_VERSION", "hello", "link_zones", "own_addresses", "source_address"]

REQUEST_VERSION = 1
ANY_ZONE = "*"  # as a cell's zone: ask on every link, and report the best that came of it
DISCARD_PORT = 9  # RFC 863; any port would do, nothing is sent


def hello(cells: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Who and where this prober is, and its routes to the destinations of ``cells``."""
    routes: Dict[Tuple[str, Optional[str]], Dict[str, Any]] = {}
    for cell in cells:
        key = (cell["address"], cell.get("zone"))
        if key not in routes:
            routes[key] = dict(_route(cell), destination=key[0], zone=key[1])
    addresses = [
        {
            "address": entry.address,
            "prefix": entry.prefix,
            "index": entry.ifindex,
            "scope": entry.scope,
            "state": entry.state,
        }
        for entry in rtnetlink.usable_addresses()
    ]
    return {
        "version": REQUEST_VERSION,
        "os": platform.system(),
        "release": _printable(platform.release()),
        "python": platform.python_version(),
        "host": _printable(socket.gethostname()),
        "stack": _stack(),
        "links": [
            {"name": link.name, "index": link.ifindex, "up": link.is_up, "loopback": link.is_loopback}
            for link in _links()
        ],
        "addresses": addresses or _resolved_addresses(),
        "routes": list(routes.values()),
        "ipv6": _has_ipv6(),
        "error_queue": error_queue.HAS_ERROR_QUEUE,
        "unusable": [
            {"address": entry.address, "prefix": entry.prefix, "index": entry.ifindex, "state": entry.state}
            for entry in rtnetlink.unusable_addresses()
        ],
    }


def own_addresses() -> Set[str]:
    """The addresses of this host; none where there is no netlink."""
    return {entry.address for entry in rtnetlink.usable_addresses()}


def link_zones() -> List[Optional[str]]:
    """The zones in which this host has a link-local address; [None] when there is none."""
    with_one = {entry.ifindex for entry in rtnetlink.usable_addresses() if is_link_local(entry.address)}
    zones: List[Optional[str]] = [link.name for link in _links() if link.is_up and link.ifindex in with_one]
    return zones or [None]


def source_address(cell: Dict[str, Any]) -> Optional[str]:
    """The source address that the routing tables give for a cell's destination."""
    source: Optional[str] = _route(cell)["source"]
    return source


def _printable(text: str) -> str:
    """Names are any bytes to a kernel (sethostname(2)): what is no text is escaped, for at home it would be refused."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _route(cell: Dict[str, Any]) -> Dict[str, Any]:
    if cell.get("zone") == ANY_ZONE:
        return {"source": None, "errno": None}
    family = socket.AF_INET6 if ":" in cell["address"] else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        return {"source": None, "errno": errno_name(error.errno)}
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if cell.get("source"):
            try:
                sock.bind(socket_address(cell["source"], 0, cell.get("source_zone") or cell.get("zone")))
            except OSError:
                return {"source": None, "errno": None}  # the cell itself will report it
        sock.connect(socket_address(cell["address"], DISCARD_PORT, cell.get("zone")))
        source = sock.getsockname()[0].partition("%")[0]
        return {"source": source, "errno": None, "gateway": _gateway(cell)}
    except OSError as error:
        return {"source": None, "errno": errno_name(error.errno)}
    finally:
        sock.close()


def _gateway(cell: Dict[str, Any]) -> Optional[str]:
    """The router on the way there; None for a destination on the link, or where the kernel does not tell."""
    if is_link_local(cell["address"]):
        return None
    try:
        return rtnetlink.route_to(cell["address"]).gateway
    except OSError:
        return None


def _links() -> List[rtnetlink.Link]:
    try:
        return rtnetlink.links()
    except OSError:
        return []


def _resolved_addresses() -> List[Dict[str, Any]]:
    """Where there is no netlink: what the host's own name stands for."""
    try:
        rows = socket.getaddrinfo(socket.gethostname(), None, 0, socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # UnicodeError: a name that cannot be asked for
        rows = []
    found = {str(row[4][0]).partition("%")[0]: None for row in rows}
    return [{"address": address, "prefix": None, "index": None} for address in found]


def _stack() -> Optional[str]:
    """Which network stack this is (Linux: boot and network namespace): two vantages with one stack are one host."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:  # noqa: PTH123
            return boot.read().strip() + " " + os.readlink("/proc/self/ns/net")  # noqa: PTH115
    except OSError:
        return None


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True

"""The first thing that runs at a vantage: turns the sources behind it into modules, under the names they have at home.

There it is not a module but the beginning of a program text (:mod:`netprobe.prober.bundle`), so it must not import what
travels. The modules are made one after the other, each after those that it imports; an import hook would make the order
free, and would be longer than the list. A netprobe that is installed at the vantage is never mixed in: the packages
made here have no path to search.
"""

import linecache
import sys
import types
from typing import Sequence, Tuple

__all__ = ["unpack"]


def unpack(sources: Sequence[Tuple[str, str]]) -> None:
    """Make a module of every (dotted name, source). Raises what its code raises."""
    for name, source in sources:
        path = name.replace(".", "/") + ".py"
        # A traceback shows the lines of its modules out of this cache; an entry without a time is never looked for
        # on disk, where the same relative path may be another version's.
        linecache.cache[path] = (len(source), None, source.splitlines(True), path)
        module = _module(name)
        exec(compile(source, path, "exec", 0, True), module.__dict__)


def _module(name: str) -> types.ModuleType:
    """An empty module in its package, which is made if it is not there yet."""
    module = sys.modules[name] = types.ModuleType(name)
    package, _, leaf = name.rpartition(".")
    if package:
        if package not in sys.modules:
            _module(package).__path__ = []
        setattr(sys.modules[package], leaf, module)
    return module

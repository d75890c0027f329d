"""What the bindtest command does with --from, --inventory, --save and --expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netprobe.commands.bindtest.head import BindtestHead
from netprobe.errors import Exit, InvalidInputError
from netprobe.files import check_writable, read_text, write_text
from netprobe.reach.agreement import Agreement, agreements
from netprobe.reach.bindtest import Bindtest
from netprobe.reach.expectations import Expectations, read, save
from netprobe.reach.records import Cell
from netprobe.reach.sessions.choice import session_for
from netprobe.reach.sessions.session import Session
from netprobe.reach.vantages import Vantage, unique, vantage_of, with_pythons
from netprobe.render.output import Document, Output

__all__ = ["Vantages", "agreements_of"]

Options = Mapping[str, Any]
MANY = 12  # vantages from which on agreement is shown, not a column for each


class Vantages:
    """The sessions that the options ask for, and what is said of them after the run."""

    def __init__(self, output: Output, options: Options) -> None:
        self._output = output
        self._options = options
        self._groups: dict[str, tuple[str, ...]] = {}
        self._fleet: Any = None
        self._expectations: Expectations | None = None
        if options["expect"]:
            path = Path(options["expect"])
            self._expectations = read(read_text(path), str(path))
        for name in ("save", "svg", "html"):
            if options[name]:
                check_writable(Path(options[name]))
        self.sessions: list[Session] = [self._session(vantage) for vantage in self._vantages()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fleet is not None:
            self._fleet.close()

    def _vantages(self) -> tuple[Vantage, ...]:
        """--from with its groups, and --python."""
        inventory = None
        if self._options["inventory"]:
            from netprobe.reach.inventory import read as read_inventory

            inventory = read_inventory(Path(self._options["inventory"]))
            self._groups = inventory.all_groups()
        found: list[Vantage] = []
        for text in self._options["from"] or ("local",):
            if not text.startswith("group:"):
                found.append(vantage_of(text))
            elif inventory is None:
                raise InvalidInputError(text, "a group is taken from an inventory", "--inventory FILE")
            else:
                names = {vantage.name for vantage in found}
                found += [x for x in inventory.vantages(text.removeprefix("group:")) if x.name not in names]
        if not found:
            raise InvalidInputError("--from", "no host is in the group")
        unique(found)
        return with_pythons(found, self._options["python"])

    def _session(self, vantage: Vantage) -> Session:
        """Hosts of an inventory go through asyncssh where it is installed; all others have a process."""

        def noise(text: str) -> None:
            self._output.detail(f"{vantage.name}: {text}")

        if self._fleet is None and self._options["inventory"]:
            from netprobe.reach.sessions.fleet import Fleet, has_asyncssh

            self._fleet = Fleet() if has_asyncssh() else None
        return session_for(vantage, noise, self._fleet)

    def report(self, document: Document[Cell], test: Bindtest) -> None:
        """Vantages that failed: status 1 if another one could be used, 3 if none could."""
        for error in test.errors:
            if test.hellos:
                error.exit_code = Exit.NO
            document.error(error)
        if self._output.debug:
            for name, trace in test.crashes.items():
                for line in trace.splitlines():
                    self._output.say(f"{name}: {line}")
        for name, facts in test.hellos.items():
            self._output.detail(f"{name}: {facts.host}, {facts.system} {facts.release}, Python {facts.python}")

    def compare(self, document: Document[Cell], cells: Sequence[Cell]) -> None:
        """--expect and --save, after a run that was not interrupted. The changes are the answer: -q shows them, too."""
        if self._expectations is not None:
            changes = self._expectations.changes(cells, self._groups)
            assert isinstance(document.head, BindtestHead)
            document.head = replace(document.head, changes=changes)
            for change in changes:
                for line in str(change).splitlines():
                    self._output.always_say(line)
            if changes:
                document.answer(Exit.NO)
        if self._options["save"]:
            path = Path(self._options["save"])
            write_text(path, save(cells, as_json=path.suffix == ".json"))

    def interrupted(self) -> None:
        """Say what half a run is not good for: a saved matrix stays as it was, and nothing is compared."""
        if self._options["save"]:
            self._output.always_say(f"netprobe: {self._options['save']}: not written, the run was interrupted")
        if self._options["expect"]:
            self._output.always_say(f"netprobe: {self._options['expect']}: not compared, the run was interrupted")


def agreements_of(cells: Sequence[Cell]) -> tuple[Agreement, ...]:
    """Where there are many vantages: what they agree on."""
    return agreements(cells) if len({cell.vantage for cell in cells}) >= MANY else ()

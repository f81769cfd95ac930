"""Prints what every sink's tests have shown of the contracts: sink × promise."""

from collections.abc import Iterable, Mapping
from string import ascii_lowercase, ascii_uppercase

import pytest

from workers.testing.contract import SinkContract
from workers.testing.killed import KilledContract
from workers.testing.servers import ServerContract

_LETTERS = ascii_lowercase + ascii_uppercase
#: Where tests of sinks are.
_PLACE = "tests/workers/sinks/test_"
_PASSED, _FAILED, _NOT_RUN = "+", "X", "."


def promises() -> list[str]:
    """The tests of all contracts, in order."""
    contracts = (SinkContract, KilledContract, ServerContract)
    return [name for one in contracts for name in vars(one) if name.startswith("test_")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """pytest's hook: after everything else."""
    stats = terminalreporter.stats
    ran = {one.nodeid: _PASSED for one in stats.get("passed", ()) if one.when == "call"}
    ran |= {one.nodeid: _FAILED for kind in ("failed", "error") for one in stats.get(kind, ())}
    rows = matrix(ran)
    if rows:
        terminalreporter.section("contract matrix")
        for line in drawn(rows):
            terminalreporter.write_line(line)


def matrix(ran: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Class of tests → promise → mark, of the node ids of tests that ran."""
    known, rows = set(promises()), dict[str, dict[str, str]]()
    for node, mark in ran.items():
        path, *parts = node.split("::")
        promise = node.rpartition("::")[2].partition("[")[0]
        if path.startswith(_PLACE) and promise in known and len(parts) > 1:
            name = f"{path.removeprefix(_PLACE).removesuffix('.py')} {parts[0].removeprefix('Test')}"
            row = rows.setdefault(name, {})
            row[promise] = max(mark, row.get(promise, ""))
    return rows


def drawn(rows: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    """One line a class, then what the letters stand for."""
    width = max(map(len, rows))
    yield f"{'':{width}} {' '.join(_LETTERS[: len(promises())])}"
    for name in sorted(rows):
        yield f"{name:{width}} {' '.join(rows[name].get(promise, _NOT_RUN) for promise in promises())}"
    yield ""
    yield f"{_PASSED} kept, or shown not to apply   {_FAILED} broken   {_NOT_RUN} not promised, or not run here"
    for letter, promise in zip(_LETTERS, promises(), strict=False):
        yield f"  {letter} {promise.removeprefix('test_').replace('_', ' ')}"

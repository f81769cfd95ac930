"""What the processes of one Actor use, read from /proc where there is one (proc(5); Linux only)."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emulator.documents import Document
from emulator.stamps import stamp

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_CORES = os.cpu_count() or 1
_OVERLOADED = 0.95
# Fields of /proc/PID/stat after the name in brackets.
_GROUP, _USER_TICKS, _SYSTEM_TICKS, _RESIDENT = 2, 11, 12, 21


@dataclass
class Vitals:
    """Memory and processor time of a process group.

    Attributes:
        group: id of the process group.
        processors: what the run was given, in cores.
    """

    group: int
    processors: float
    _seen: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), 0.0))
    _loads: list[float] = field(default_factory=list)
    _memories: list[int] = field(default_factory=list)

    def system_info(self) -> Document | None:
        """The data of a `systemInfo` event, None where /proc is missing.

        Nothing here holds an Actor to its share of the processor, so its load is that of the whole machine, told as
        a part of the share: an Actor that looked overloaded would slow down for no reason.
        """
        found = list(_stats(self.group))
        if not found:
            return None
        load = self._load(sum(ticks for ticks, _ in found) / _TICKS)
        self._loads = [*self._loads, load][-_KEPT:]
        self._memories = [*self._memories, sum(pages for _, pages in found) * _PAGE][-_KEPT:]
        percent = 100 * self.processors
        return {
            "memAvgBytes": sum(self._memories) / len(self._memories),
            "memCurrentBytes": self._memories[-1],
            "memMaxBytes": max(self._memories),
            "cpuAvgUsage": percent * sum(self._loads) / len(self._loads),
            "cpuMaxUsage": percent * max(self._loads),
            "cpuCurrentUsage": percent * load,
            "isCpuOverloaded": load > _OVERLOADED,
            "createdAt": stamp(),
        }

    def _load(self, spent: float) -> float:
        """Share of the machine since the last look, 0 to 1; a process that ended took its seconds with it."""
        (then, before), now = self._seen, time.monotonic()
        self._seen = (now, spent)
        return min(1.0, max(0.0, spent - before) / max(now - then, 0.001) / _CORES)


_KEPT = 60  # looks that averages and peaks go over


def _stats(group: int) -> Iterator[tuple[int, int]]:
    """Ticks spent and pages held by each process of the group."""
    for path in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended between two lines of ours
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[_GROUP]) == group:
                yield int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]), int(fields[_RESIDENT])

"""What one run of the faults left: its history by kind of line, and the folder that holds what the sinks took."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.history import Line, read

#: Answers that make a promise.
PROMISES = frozenset({"accepted", "duplicate"})


#: Seconds between two looks at what is open.
LOOK = 0.5
#: Seconds within which whoever is woken for a record has taken it, or found that there is nothing to do.
WAKING = 5.0
#: Each run's rows: how many, how many different ones, and how many are not what must stand in their place.
_TABLES = """
SELECT _run_id, COUNT(*), COUNT(DISTINCT n), SUM(run <> _run_id OR n <> _item OR length(text) <> n % 37)
FROM items GROUP BY _run_id"""


class Table(NamedTuple):
    """What the database holds of one run."""

    rows: int
    different: int
    wrong: int


@dataclass
class Evidence:
    """`lines`: by their `what`, each list in the order it was written. `story`: all of them."""

    folder: Path
    story: list[Line]
    lines: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, folder: Path, story: Iterable[Line] | None = None) -> "Evidence":
        found = cls(folder, list(read(folder / "history.jsonl") if story is None else story))
        for line in found.story:
            found.lines[line["what"]].append(line)
        return found

    @property
    def begin(self) -> Line:
        return self.lines["begin"][0]

    @cached_property
    def rows(self) -> dict[str, int]:
        """run → how many rows it left."""
        return {line["run"]: line["rows"] for line in self.lines["run"]}

    @cached_property
    def tries(self) -> dict[str, list[Line]]:
        """hook → its tries, in the order they began."""
        found = defaultdict(list)
        for line in sorted(self.lines["try"], key=lambda line: line["began"]):
            found[line["hook"]].append(line)
        return found

    @cached_property
    def promised(self) -> set[str]:
        """Runs whose webhook heard 200."""
        return {line["run"] for line in self.lines["try"] if line["status"] == 200}

    @cached_property
    def delivered(self) -> dict[tuple[str, str], list[Line]]:
        """(run, target) → the records of its deliveries."""
        found = defaultdict(list)
        for line in self.lines["delivery"]:
            found[line["run"], line["target"]].append(line)
        return found

    def runs_at(self, target: str) -> list[str]:
        """Runs that the ledger says were delivered to a target."""
        return [run for (run, name), found in self.delivered.items() if name == target and _all_there(found)]

    @cached_property
    def posts(self) -> dict[str, list[Line]]:
        """Idempotency key → every request that came whole with it."""
        found = defaultdict(list)
        for line in self.lines["post"]:
            found[line["key"]].append(line)
        return found

    @cached_property
    def taken(self) -> dict[str, list[Line]]:
        """run → the requests a far side that remembers keys has, in the order of their rows."""
        found: dict[str, dict[str, Line]] = defaultdict(dict)
        for line in self.lines["post"]:
            if line["taken"]:
                found[line["run"]].setdefault(line["key"], line)
        return {run: sorted(had.values(), key=lambda line: line["offset"]) for run, had in found.items()}

    def body(self, post: Line) -> bytes:
        with (self.folder / "bodies.bin").open("rb") as file:
            file.seek(post["at"])
            return file.read(post["len"])

    def file_of(self, run: str) -> Path:
        return self.folder / "files" / f"{run}.jsonl"

    @cached_property
    def tables(self) -> dict[str, Table]:
        """run → its rows in the database."""
        path = self.folder / "rows.db"
        if not path.exists():
            return {}
        with closing(sqlite3.connect(path)) as db:
            return {row[0]: Table(*row[1:]) for row in db.execute(_TABLES)}

    @cached_property
    def pauses(self) -> list[float]:
        """Seconds that work lay still because the process that held it died; counted from the last death, if several
        processes died on their way to it. Time behind an open circuit is the target's, and not counted."""
        held: dict[int, set[str]] = defaultdict(set)
        woken: dict[int, dict[str, float]] = defaultdict(dict)
        orphans: dict[str, float] = {}
        pauses = []
        for line in self.story:
            moment: float = line["t"]
            match line["what"]:
                case "phase":
                    orphans.clear()  # how soon all is well after other faults is judged on its own
                case "woke":
                    woken[line["pid"]][line["id"]] = moment
                case "took":
                    if (since := orphans.pop(line["id"], None)) is not None:
                        pauses.append(moment - since - self._held_up(line["id"], since, moment))
                    held[line["pid"]].add(line["id"])
                    woken[line["pid"]].pop(line["id"], None)
                case "gave":
                    held[line["pid"]].discard(line["id"])
                case "died":
                    lost = {record for record, at in woken.pop(line["pid"], {}).items() if at > moment - WAKING}
                    for record in held.pop(line["pid"], set()) | (lost & orphans.keys()):
                        orphans[record] = moment
        return sorted(pauses)

    def _held_up(self, record: str, since: float, until: float) -> float:
        """Seconds in which the circuit of a delivery's target was seen open."""
        lane = f"/{self._targets.get(record, '?')}"
        seen = (line for line in self.lines["open"] if since < line["t"] < until)
        return LOOK * sum(any(name.endswith(lane) for name in line["circuits"]) for line in seen)

    @cached_property
    def _targets(self) -> dict[str, str]:
        """delivery → its target."""
        return {line["id"]: line["target"] for line in self.lines["delivery"]}

    @cached_property
    def acks(self) -> dict[str, list[float]]:
        """phase → ms until each 200, sorted."""
        found = defaultdict(list)
        for line in self.lines["try"]:
            if line["status"] == 200:
                found[line["phase"]].append(line["ms"])
        return {phase: sorted(each) for phase, each in found.items()}

    @cached_property
    def fired(self) -> dict[str, int]:
        """Every fault that happened, by its kind, and how often; failpoints as `when:step`."""
        found: dict[str, int] = defaultdict(int)
        for line in self.lines["fault"]:
            found[line["kind"]] += 1
        for line in self.lines["fired"]:
            found[line["point"].rpartition(":")[0]] += 1
        return found

    @cached_property
    def memory(self) -> dict[str, int]:
        """Part (receiver, worker) → the most any of its processes held, in MB."""
        found: dict[str, int] = defaultdict(int)
        for line in self.lines["rss"]:
            part = line["name"].partition("-")[0]
            found[part] = max(found[part], line["kb"] // 1024)
        return found


def percentile(values: list[float], share: float) -> float:
    """Of sorted values; 0.0 if there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def _all_there(records: list[dict[str, Any]]) -> bool:
    return any(each["state"] == "delivered" for each in records)

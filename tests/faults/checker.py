"""Judges what a run left, afterwards and from its evidence alone. Every invariant is a function that yields one
sentence for each thing that breaks it; a healthy run yields nothing."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from tests.faults.evidence import PROMISES, Evidence, Table, percentile
from tests.faults.rows import json_lines, rows

Finding = str
#: MB a process may hold, seconds until all is delivered after the last fault, until killed work goes on, until a Redis
#: that refused is worked with again, and ms until a webhook is answered at a steady rate.
MEMORY = {"receiver": 150, "worker": 300}
DRAIN, RESUME, HEAL, ACK = 60.0, 45.0, 30.0, 100.0

_FINAL_EVENT = frozenset({"planned", "unmatched", "superseded", "dead", "dropped"})
_FINAL_DELIVERY = frozenset({"delivered", "partial", "dead", "dropped"})
_CANARY = re.compile(rb"canary-[0-9a-f]{32}")
#: Keys that stay: records, what they need, and lists of them.
_KEPT = re.compile(
    r"rr:(ev|dl|af|seen|cfg|run|since|reconciled|circuit):.+|rr:(events|deliveries|dead|workers|breadth|cfgs|after)"
)


def every_promise_is_kept(seen: Evidence) -> Iterator[Finding]:
    """I1: each 200 ends delivered everywhere, or as a dead letter."""
    events = {line["id"]: line for line in seen.lines["event"]}
    for tried in seen.lines["try"]:
        if tried["status"] != 200:
            continue
        if tried["said"] not in PROMISES:
            yield f"webhook {tried['hook']} was answered 200 {tried['said']!r}"
        elif (event := events.get(tried["event"])) is None:
            yield f"webhook {tried['hook']} was answered {tried['said']}, and the ledger has no such event"
        elif event["state"] not in _FINAL_EVENT:
            yield f"webhook {tried['hook']} was answered {tried['said']}, and its event is still {event['state']}"
    for run in seen.promised:
        for target in seen.begin["targets"]:
            states = [each["state"] for each in seen.delivered.get((run, target), [])]
            if not states or not _FINAL_DELIVERY.issuperset(states):
                yield f"run {run} was promised; its delivery to {target} is {states or 'missing'}"


def nobody_is_sent_away_for_good(seen: Evidence) -> Iterator[Finding]:
    """I1: a webhook that keeps coming is taken, and `duplicate` is only said of what was sent before."""
    for hook in seen.lines["hook"]:
        tries = seen.tries.get(hook["hook"], [])
        if hook["must"] != "accept":
            continue
        if not any(each["status"] == 200 for each in tries):
            yield f"webhook {hook['hook']} was never taken ({len(tries)} tries)"
        elif tries[0]["said"] == "duplicate" and not (len(tries) > 1 and tries[1]["began"] <= tries[0]["t"]):
            yield f"webhook {hook['hook']} heard `duplicate` when it was sent for the first time"


def nothing_is_doubled(seen: Evidence) -> Iterator[Finding]:
    """I2: sinks of class E1 show each effect once."""
    for (run, target), records in seen.delivered.items():
        if len({each["life"] for each in records}) < len(records):
            yield f"run {run} has {len(records)} deliveries to {target}"
    for run in seen.rows:
        if (found := seen.file_of(run)).exists():
            lines = found.read_bytes().splitlines()
            if len(set(lines)) < len(lines):
                yield f"the file of run {run} holds {len(lines) - len(set(lines))} rows twice"
    for run, table in seen.tables.items():
        if table.different < table.rows:
            yield f"the table holds {table.rows - table.different} rows of run {run} twice"


def bytes_and_order_are_kept(seen: Evidence) -> Iterator[Finding]:
    """I3: what arrived is what the run left, in order; all copies of a request are the same bytes."""
    for run in seen.runs_at("disk"):
        yield from _file_is_whole(seen, run)
    for run in seen.runs_at("far"):
        yield from _requests_are_whole(seen, run)
    for run in seen.runs_at("rows"):
        yield from _rows_are_whole(seen, run)
    for key, copies in seen.posts.items():
        if len({copy["sha"] for copy in copies}) > 1:
            yield f"{len(copies)} requests with the key {key} differ in their bytes"


def _file_is_whole(seen: Evidence, run: str) -> Iterator[Finding]:
    path = seen.file_of(run)
    if not path.exists():
        yield f"run {run} is delivered, and has no file"
    elif path.read_bytes() != json_lines(run, seen.rows[run]):
        yield f"the file of run {run} is not what the run left ({seen.rows[run]} rows)"


def _requests_are_whole(seen: Evidence, run: str) -> Iterator[Finding]:
    at = 0
    for post in seen.taken.get(run, []):
        expected = b",".join(rows(run, at, at + post["count"]))
        if post["offset"] != at or not seen.body(post).endswith(b'"items":[' + expected + b"]}"):
            yield f"request {post['key']} of run {run} does not hold its rows from {at} on"
            return
        at += post["count"]
    if at != seen.rows[run]:
        yield f"run {run} is delivered, and the far side has {at} of {seen.rows[run]} rows"


def _rows_are_whole(seen: Evidence, run: str) -> Iterator[Finding]:
    table = seen.tables.get(run, Table(0, 0, 0))
    if table.wrong or table.different != seen.rows[run]:
        yield f"run {run} is delivered, and the table has {table} of its {seen.rows[run]} rows"


def memory_is_bounded(seen: Evidence) -> Iterator[Finding]:
    """I4."""
    for part, most in MEMORY.items():
        if seen.memory.get(part, 0) > most:
            yield f"a {part} held {seen.memory[part]} MB, more than {most}"


def refusals_have_no_effect(seen: Evidence) -> Iterator[Finding]:
    """I5: what was refused for good left nothing behind."""
    refused = {hook["hook"]: hook["run"] for hook in seen.lines["hook"] if hook["must"] == "refuse"}
    for hook in refused:
        if any(each["status"] == 200 for each in seen.tries.get(hook, [])):
            yield f"webhook {hook} should have been refused and was taken"
    silent = set(refused.values()) - seen.promised
    for line in (*seen.lines["event"], *seen.lines["delivery"], *seen.lines["post"]):
        if line["run"] in silent:
            yield f"run {line['run']} was only ever refused, and has a trace: {line['what']}"
    for run in silent:
        if seen.file_of(run).exists():
            yield f"run {run} was only ever refused, and has a file"
        if run in seen.tables:
            yield f"run {run} was only ever refused, and has rows in the table"


def all_is_done_in_time(seen: Evidence) -> Iterator[Finding]:
    """I6, and how soon killed work goes on (P3)."""
    for line in seen.lines["drained"]:
        if line["seconds"] is None:
            yield f"{line['open']} records were still open {line['most']:.0f} s after {line['after']}"
        elif line["seconds"] > line["allowed"]:
            yield f"all was done only {line['seconds']:.1f} s after {line['after']}"
    if (worst := percentile(seen.pauses, 0.99)) > RESUME:
        yield f"work of a killed process lay still for {worst:.1f} s (p99)"
    for line in seen.lines["healed"]:
        if line["seconds"] is None or line["seconds"] > HEAL:
            yield f"{line['part']} was not well {HEAL:.0f} s after Redis stopped being {line['kind']}"
    for line in seen.lines["refused"]:
        if line["unlike"]:
            yield f"while Redis was {line['kind']} webhooks heard {line['unlike']}"


def answers_are_quick(seen: Evidence) -> Iterator[Finding]:
    """P6: at a steady rate, with workers delivering and every write on the disk."""
    if (worst := percentile(seen.acks.get("steady", []), 0.99)) > ACK:
        yield f"webhooks were answered within {worst:.0f} ms (p99) at the steady rate"


def no_secret_shows(seen: Evidence) -> Iterator[Finding]:
    """I7: neither in logs nor answers, in Redis nor at the sinks."""
    logs = [path for path in seen.folder.glob("logs/*") if path.stem not in {"emulator", "nursery"}]
    kept = [seen.folder / "history.jsonl", seen.folder / "bodies.bin", *seen.folder.glob("valkey/**/*")]
    for path in [*logs, *kept, *seen.folder.glob("files/*"), *seen.folder.glob("rows.db*")]:
        if path.is_file() and _holds_canary(path):
            yield f"{path.relative_to(seen.folder)} holds a secret"


def _holds_canary(path: Path) -> bool:
    before = b""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            if _CANARY.search(before + piece):
                return True
            before = piece[-64:]
    return False


def every_fault_happened(seen: Evidence) -> Iterator[Finding]:
    """I8: otherwise nothing has been shown."""
    for kind, number in seen.begin["wanted"].items():
        if seen.fired.get(kind, 0) < number:
            yield f"{kind} happened {seen.fired.get(kind, 0)} times, and should have {number} times"
    if not seen.promised:
        yield "no webhook was taken at all"


def nothing_is_left_over(seen: Evidence) -> Iterator[Finding]:
    """I9: no working state in Redis that stays, no part files, no temporary ones."""
    for line in seen.lines["key"]:
        if not _KEPT.fullmatch(line["name"]) and (line["ttl"] == -1 or line["name"].startswith("rr:lease:")):
            yield f"the key {line['name']} is left"
    for path in seen.folder.glob("files/**/*.part"):
        yield f"{path.relative_to(seen.folder)} is left"
    for path in seen.folder.glob("spool/**/*"):
        if path.is_file():
            yield f"{path.relative_to(seen.folder)} is left"


def time_runs_forward(seen: Evidence) -> Iterator[Finding]:
    """The history itself: fencing tokens of a record only ever rise, whoever took it."""
    fences: dict[str, list[int]] = {}
    for line in seen.lines["took"]:
        fences.setdefault(line["id"], []).append(line["fence"])
    for record, tokens in fences.items():
        if any(later <= earlier for earlier, later in pairwise(tokens)) and not seen.lines["power"]:
            yield f"record {record} was taken with the fencing tokens {tokens}"


INVARIANTS: dict[str, Callable[[Evidence], Iterator[Finding]]] = {
    "I1 every 200 ends delivered or as a dead letter": every_promise_is_kept,
    "I1 every webhook that keeps coming is taken": nobody_is_sent_away_for_good,
    "I2 no effect twice (E1)": nothing_is_doubled,
    "I3 bytes and order are kept": bytes_and_order_are_kept,
    "I4 memory is bounded": memory_is_bounded,
    "I5 what is refused has no effect": refusals_have_no_effect,
    "I6 all is done in time": all_is_done_in_time,
    "I7 no secret shows": no_secret_shows,
    "I8 every fault happened": every_fault_happened,
    "I9 nothing is left over": nothing_is_left_over,
    "P2 fencing tokens rise": time_runs_forward,
    "P6 answers are quick": answers_are_quick,
}


def judge(seen: Evidence) -> dict[str, list[Finding]]:
    """Invariant → what breaks it; only those that something breaks."""
    found = {name: list(invariant(seen)) for name, invariant in INVARIANTS.items()}
    return {name: findings for name, findings in found.items() if findings}

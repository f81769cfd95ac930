"""The figures of one run, and the verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.faults.checker import RESUME
from tests.faults.evidence import Evidence, percentile

MOST_SHOWN = 5


def figures(seen: Evidence) -> Iterator[tuple[str, str]]:
    """What was done to it, and what came of it."""
    tries, fired = seen.lines["try"], seen.fired
    promises = {line["event"] for line in tries if line["status"] == 200}
    statuses = Counter(line["status"] for line in tries)
    refused = ", ".join(f"{status or 'none'}: {n}" for status, n in sorted(statuses.items()) if status != 200)
    yield ("runs, rows", f"{len(seen.promised):,}, {sum(seen.rows[run] for run in seen.promised):,}")
    yield "webhooks, tries", f"{len(seen.lines['hook']):,}, {len(tries):,}"
    yield "answers 200; others", f"{statuses[200]:,}; {refused or 'no others'}"
    yield ("SIGKILL, SIGTERM of workers", f"{fired.get('worker.kill', 0)}, {fired.get('worker.term', 0)}")
    yield "kills of the receiver at its commit", str(_sum(fired, "commit"))
    yield "kill -9 of Valkey", str(fired.get("valkey.kill", 0))
    steps = {kind for kind in fired if kind.startswith(("before:", "during:", "after:"))}
    yield ("failpoints: different, fired", f"{len(steps)}, {sum(fired[kind] for kind in steps)}")
    yield ("trouble of far sides, of the platform", f"{_sum(fired, 'sink.')}, {_sum(fired, 'upstream.')}")
    cuts = {kind: n for kind, n in fired.items() if kind.startswith("cut:")}
    if cuts:
        yield ("connections to Valkey cut", f"{sum(cuts.values())} ({len(cuts)} kinds of round trip)")
    states = Counter(line["state"] for line in seen.lines["delivery"])
    reasons = Counter(line["reason"] for line in seen.lines["delivery"] if line["state"] == "dead")
    yield "deliveries", ", ".join(f"{n:,} {state}" for state, n in states.most_common())
    if reasons:
        yield ("dead letters", ", ".join(f"{n} {reason}" for reason, n in reasons.most_common()))
    yield "events promised, lost", f"{len(promises):,}, {_lost(seen, promises)}"
    yield "effects doubled in E1", str(_doubled(seen))
    copies = [posts for posts in seen.posts.values() if len(posts) > 1]
    same = all(len({post["sha"] for post in posts}) == 1 for posts in copies)
    repeats = sum(len(posts) - 1 for posts in copies)
    yield (
        "requests repeated in A1",
        f"{repeats} of {len(seen.lines['post']):,}, {'byte-identical' if same else 'DIFFERENT'}",
    )
    yield (f"killed work goes on: n, p50, p99 (≤ {RESUME:.0f} s)", _spread(seen.pauses, "s"))
    for line in seen.lines["drained"]:
        took = "never" if line["seconds"] is None else f"{line['seconds']:.1f} s"
        yield f"all done after {line['after']} (≤ {line['allowed']:.0f} s)", took
    for line in seen.lines["healed"]:
        yield f"{line['part']} well again after {line['kind']}", f"{line['seconds']} s"
    for line in seen.lines["pressed"]:
        yield f"webhooks a second, {line['name']}", f"{line['rate']} of {line['asked']:.0f}"
    for phase, acks in seen.acks.items():
        yield f"webhooks answered, {phase}: n, p50, p99", _spread(acks, "ms")
    yield ("most memory", ", ".join(f"{part} {mb} MB" for part, mb in sorted(seen.memory.items())))


def _sum(fired: Mapping[str, int], part: str) -> int:
    return sum(number for kind, number in fired.items() if part in kind and not kind.startswith("cut:"))


def _lost(seen: Evidence, promises: set[str]) -> int:
    return len(promises - {line["id"] for line in seen.lines["event"]})


def _doubled(seen: Evidence) -> int:
    files = (seen.file_of(run).read_bytes().splitlines() for run in seen.runs_at("disk") if seen.file_of(run).exists())
    in_files = sum(len(lines) - len(set(lines)) for lines in files)
    return in_files + sum(table.rows - table.different for table in seen.tables.values())


def _spread(values: Sequence[float], unit: str) -> str:
    have = sorted(values)
    return f"{len(have):,}, {percentile(have, 0.5):.1f} {unit}, {percentile(have, 0.99):.1f} {unit}"


def print_report(seen: Evidence, broken: Mapping[str, Sequence[str]], seconds: float, again: str) -> None:
    rows = [*figures(seen), ("seed, duration", f"{seen.begin['seed']}, {seconds:.0f} s")]
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    print()
    for name, findings in broken.items():
        print(f"BROKEN  {name}: {len(findings)}")
        for finding in findings[:MOST_SHOWN]:
            print(f"        {finding}")
    if broken:
        print(f"\nhistory   {seen.folder / 'history.jsonl'}\nonce more {again}")
    print(f"faults: {'FAILED' if broken else 'nothing lost, nothing doubled'}")

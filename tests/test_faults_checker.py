"""The judge of `make faults` finds what is wrong: each story breaks one invariant, and only that."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.checker import judge
from tests.faults.evidence import Evidence
from tests.faults.history import Line
from tests.faults.rows import json_lines, rows

Story = list[Line]
LIFE = "2026-11-22T10:00:00.000Z"
COUNT = 5


def test_a_healthy_story_breaks_nothing(tmp_path: Path) -> None:
    assert judge(Evidence.of(tmp_path, healthy(tmp_path))) == {}


def healthy(folder: Path) -> Story:
    """One run, announced twice, delivered to three sinks while a worker was killed; and one webhook refused."""
    (folder / "files").mkdir()
    (folder / "logs").mkdir()
    (folder / "logs" / "worker-0.log").write_text('{"event": "delivery.turn"}\n')
    (folder / "files" / "r1.jsonl").write_bytes(json_lines("r1", COUNT))
    with closing(sqlite3.connect(folder / "rows.db")) as db, db:
        db.execute("CREATE TABLE items (_run_id, _item, run, n, text)")
        db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", [_cells(n) for n in range(COUNT)])
    posts = [_post(folder, 0, 3), _post(folder, 3, 2), _post(folder, 3, 2)]
    wanted = {"worker.kill": 1, "before:take": 1}
    return [
        {"t": 0.0, "what": "begin", "seed": 1, "targets": ["disk", "far", "rows"], "wanted": wanted},
        {"t": 0.1, "what": "run", "run": "r1", "rows": COUNT},
        {"t": 0.1, "what": "run", "run": "r2", "rows": COUNT},
        {"t": 1.0, "what": "hook", "hook": "d1", "run": "r1", "must": "accept"},
        {"t": 1.0, "what": "hook", "hook": "d2", "run": "r2", "must": "refuse"},
        _try("d1", "r1", 503, "queue_unavailable", began=1.0),
        _try("d1", "r1", 200, "accepted", began=1.2),
        _try("d1", "r1", 200, "duplicate", began=1.4),
        _try("d2", "r2", 401, "token_invalid", began=1.0),
        {"t": 2.0, "what": "took", "id": "x1", "kind": "dl", "fence": 1, "pid": 7},
        {"t": 2.1, "what": "fault", "kind": "worker.kill"},
        {"t": 2.1, "what": "fired", "point": "before:take:2.1"},
        {"t": 2.1, "what": "died", "name": "worker-0", "pid": 7},
        {"t": 37.0, "what": "took", "id": "x1", "kind": "dl", "fence": 2, "pid": 8},
        {"t": 37.1, "what": "gave", "id": "x1", "kind": "dl", "fence": 2, "pid": 8},
        *posts,
        {"t": 38.0, "what": "rss", "name": "worker-0", "pid": 8, "kb": 90_000},
        {"t": 38.0, "what": "rss", "name": "receiver", "pid": 9, "kb": 70_000},
        {"t": 38.0, "what": "refused", "kind": "OOM", "heard": {"503": 9}, "unlike": {}},
        {"t": 38.0, "what": "healed", "kind": "OOM", "part": "the door", "seconds": 2.0},
        {"t": 39.0, "what": "drained", "seconds": 12.0, "after": "kills", "allowed": 60.0, "most": 180.0, "open": 0},
        {"t": 40.0, "what": "event", "id": "e-d1", "run": "r1", "state": "planned", "reason": ""},
        *(_delivery(target) | {"t": 40.0, "id": f"x-{target}"} for target in ("disk", "far", "rows")),
        {"t": 40.0, "what": "key", "name": "rr:events", "ttl": -1},
        {"t": 40.0, "what": "key", "name": "arq:in-progress:j1", "ttl": 9000},
    ]


def _delivery(target: str) -> Line:
    return {"what": "delivery", "run": "r1", "life": LIFE, "target": target, "state": "delivered"}


def _cells(n: int) -> tuple[object, ...]:
    return ("r1", n, "r1", n, "x" * (n % 37))


def _try(hook: str, run: str, status: int, said: str, *, began: float) -> Line:
    event = f"e-{hook}" if status == 200 else ""
    facts = {"status": status, "said": said, "event": event, "began": began, "ms": 9.0, "phase": "steady"}
    return {"t": began + 0.1, "what": "try", "hook": hook, "run": run, **facts}


def _post(folder: Path, offset: int, count: int) -> Line:
    body = b'{"batch":{},"items":[' + b",".join(rows("r1", offset, offset + count)) + b"]}"
    with (folder / "bodies.bin").open("ab") as file:
        at = file.tell()
        file.write(body)
    place = {"at": at, "len": len(body), "sha": hashlib.sha256(body).hexdigest()}
    facts = {"run": "r1", "life": LIFE, "offset": offset, "count": count, "taken": True}
    return {"t": 37.0, "what": "post", "key": f"k{offset}", **facts, **place}


Break = Callable[[Path, Story], object]


def _of(story: Story, what: str) -> list[Line]:
    return [line for line in story if line["what"] == what]


def _without(what: str) -> Break:
    def strike(_: Path, story: Story) -> None:
        story[:] = [line for line in story if line["what"] != what]

    return strike


def _change(what: str, index: int = 0, **facts: object) -> Break:
    return lambda _, story: _of(story, what)[index].update(facts)


def _add(**line: object) -> Break:
    return lambda _, story: story.append({"t": 41.0, **line})


def _write(name: str, content: bytes) -> Break:
    return lambda folder, _: (folder / name).write_bytes(content)


def _insert(*rows_: tuple[object, ...]) -> Break:
    def insert(folder: Path, _: Story) -> None:
        with closing(sqlite3.connect(folder / "rows.db")) as db, db:
            db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows_)

    return insert


def _delete_a_row(folder: Path, _: Story) -> None:
    with closing(sqlite3.connect(folder / "rows.db")) as db, db:
        db.execute("DELETE FROM items WHERE n = 2")


I1, TAKEN = "I1 every 200 ends delivered or as a dead letter", "I1 every webhook that keeps coming is taken"
I2, I3, I4 = "I2 no effect twice (E1)", "I3 bytes and order are kept", "I4 memory is bounded"
I5, I6, I7 = "I5 what is refused has no effect", "I6 all is done in time", "I7 no secret shows"
I8, I9 = "I8 every fault happened", "I9 nothing is left over"
FENCES, QUICK = "P2 fencing tokens rise", "P6 answers are quick"
LINES = json_lines("r1", COUNT)
SECRET = b"canary-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("invariant", "harm"),
    [
        pytest.param(I1, _without("event"), id="an accepted event is not in the ledger"),
        pytest.param(I1, _change("event", state="planning"), id="an event never ends"),
        pytest.param(I1, _change("delivery", 1, state="waiting"), id="a delivery never ends"),
        pytest.param(I1, _change("delivery", 2, target="elsewhere"), id="a target was forgotten"),
        pytest.param(I1, _change("try", 1, said="ignored"), id="a finish was ignored"),
        pytest.param(TAKEN, _add(what="hook", hook="d3", run="r1", must="accept"), id="a webhook was never taken"),
        pytest.param(TAKEN, _change("try", 2, began=0.5, t=0.6), id="a first try was called a duplicate"),
        pytest.param(I2, _insert(_cells(2)), id="a row is there twice"),
        pytest.param(
            I2,
            _add(what="delivery", id="x9", run="r1", life=LIFE, target="disk", state="delivered"),
            id="two deliveries of one",
        ),
        pytest.param(I3, _write("files/r1.jsonl", LINES[:-1]), id="a file lacks its last byte"),
        pytest.param(I3, lambda folder, _: (folder / "files/r1.jsonl").unlink(), id="a file is not there"),
        pytest.param(I3, _delete_a_row, id="a row is missing in the table"),
        pytest.param(I3, _insert(("r1", 5, "r2", 5, "xxxxx")), id="a stranger's row is in the table"),
        pytest.param(I3, _change("post", 1, offset=4), id="a request came out of order"),
        pytest.param(I3, _change("post", 2, sha="other"), id="a repeated request differs"),
        pytest.param(I3, _change("post", 0, taken=False), id="a request was never taken"),
        pytest.param(I3, lambda folder, _: (folder / "bodies.bin").write_bytes(b"?" * 999), id="a body differs"),
        pytest.param(I4, _change("rss", 0, kb=310_000), id="a worker took too much memory"),
        pytest.param(I4, _change("rss", 1, kb=160_000), id="a receiver took too much memory"),
        pytest.param(I5, _write("files/r2.jsonl", b""), id="a refused run has a file"),
        pytest.param(I5, _insert(("r2", 0, "r2", 0, "")), id="a refused run has a row"),
        pytest.param(I5, _add(what="event", id="e9", run="r2", state="planned"), id="a refused run has an event"),
        pytest.param(I6, _change("drained", seconds=61.0), id="it took too long until all was done"),
        pytest.param(I6, _change("drained", seconds=None), id="all was never done"),
        pytest.param(I6, _change("took", 1, t=50.0), id="killed work lay still for too long"),
        pytest.param(I6, _change("healed", seconds=31.0), id="it took too long to recover"),
        pytest.param(I6, _change("refused", unlike={"200": 1}), id="a promise was made while Redis refused"),
        pytest.param(I7, _write("logs/worker-0.log", b"x" * 2**20 + SECRET), id="a secret is in a log"),
        pytest.param(I7, _write("files/r0.jsonl", SECRET), id="a secret is at a sink"),
        pytest.param(I8, _without("fired"), id="a failpoint never fired"),
        pytest.param(I9, _add(what="key", name="rr:lease:x", ttl=20_000), id="a lease is left"),
        pytest.param(I9, _add(what="key", name="arq:job:x", ttl=-1), id="a job is left for good"),
        pytest.param(I9, _add(what="key", name="rr:due", ttl=-1), id="something is still due"),
        pytest.param(I9, _write("files/r1.jsonl.ab-g0.part", b""), id="a part file is left"),
        pytest.param(FENCES, _change("took", 1, fence=1), id="two holders had one fencing token"),
        pytest.param(QUICK, _change("try", 2, ms=140.0), id="webhooks were answered slowly"),
    ],
)
def test_a_broken_story_is_told_apart(invariant: str, harm: Break, tmp_path: Path) -> None:
    story = healthy(tmp_path)
    harm(tmp_path, story)
    found = judge(Evidence.of(tmp_path, story))
    assert list(found) == [invariant], found


def test_work_behind_an_open_circuit_waits_for_its_target(tmp_path: Path) -> None:
    story = healthy(tmp_path)
    for line in story:
        if line.get("id") == "x1":
            line["id"] = "x-far"
    _of(story, "took")[1]["t"] = 50.0
    story += [{"t": 20.0 + n / 2, "what": "open", "circuits": ["target:all/far"]} for n in range(10)]
    assert Evidence.of(tmp_path, story).pauses == [pytest.approx(50.0 - 2.1 - 5.0)]


def test_a_refused_webhook_that_is_taken_breaks_what_was_to_be_refused(tmp_path: Path) -> None:
    story = healthy(tmp_path)
    story.append(_try("d2", "r2", 200, "accepted", began=3.0))
    assert I5 in judge(Evidence.of(tmp_path, story))

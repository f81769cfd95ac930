"""`runrelay explain`, against the emulator and a real ledger: which line of which route said no to a run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config.contracts.event import Event
from config.contracts.run import Run
from config.keys import Keys
from config.queue import RunQueue
from config.routes import load
from console.cli.main import main
from tests.config.sources.platforms import TOKEN, Emulated
from tests.console.beside import SECRET, emulator_beside
from tests.console.test_preview import started
from tests.console.test_reconcile_command import asked, told
from workers.ledger.ledger import Ledger
from workers.ledger.records import EventRecord
from workers.planner import plan_of
from workers.routing.scope import scope_of

Captured = pytest.CaptureFixture[str]
ROUTES = """
sinks: {disk: {type: file, base: results/}, out: {type: stdout}}
routes:
  - {name: failed, when: {actor: local/*, status: [FAILED, TIMED-OUT]}, to: [{sink: disk}]}
  - {name: shops, when: {actor: acme/shop-*}, to: [{sink: disk}]}
  - {name: nightly, when: {task: acme/nightly}, to: [{sink: disk}]}
  - {name: beta, when: {build: beta}, to: [{sink: disk}]}
  - {name: planned, when: {schedule: "*"}, to: [{sink: disk}]}
  - {name: dear, when: {cost: {min_usd: 1000, max_usd: 2000}}, to: [{sink: disk}]}
  - {name: not ours, when: {not: {actor: local/writer, status: S*}}, to: [{sink: disk}]}
  - {name: long, where: run.stats.runTimeSecs > 1000 or run.nothing, to: [{sink: disk}]}
  - {name: odd, where: run.status > 1, to: [{sink: disk}]}
  - {name: some, when: {status: SUCCEEDED}, to: [{sink: disk}, {sink: out, when: {origin: WEB}}]}
  - {name: none, to: [{sink: out, when: {status: FAILED}}]}
  - {name: last, final: true, to: [{sink: out}]}
  - {name: never, to: [{sink: out}]}
unmatched: {to: [{sink: out}]}
""".replace("not ours", "not-ours")
SAID = """\
run RUN SUCCEEDED of local/writer, as the platform tells it now
failed  no: `status: [FAILED, TIMED-OUT]`, and its status is SUCCEEDED
shops  no: `actor: acme/shop-*`, and its actor is local/writer
nightly  no: `task: acme/nightly`, and its task is none
beta  no: `build: beta`, and its build is BUILD
planned  no: `schedule: *`, and its schedule is none
dear  no: `cost: {min_usd: 1000, max_usd: 2000}`, and its cost is COST
not-ours  no: `not: {actor: local/writer, status: S*}`, and its actor is local/writer and its status is SUCCEEDED
long  no: `where: run.stats.runTimeSecs > 1000 or run.nothing`, and that is null: run.stats.runTimeSecs is SECS, \
run.nothing is missing
odd  no: `where: run.status > 1`, and types do not fit (text > number: `number` reads a number out of text): \
run.status is "SUCCEEDED"
some  takes it
  disk  yes
  out  no: `origin: WEB`, and its origin is API
none  would take it, but none of its targets does
  out  no: `status: FAILED`, and its status is SUCCEEDED
last  takes it
  out  yes
  it is final: no route below it is asked
never  not asked: a route above it is final
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulator_beside(tmp_path_factory.mktemp("platform")) as place:
        yield place


@pytest.fixture(scope="module")
def run(place: Emulated) -> dict[str, Any]:
    return started(place, {}, wait=30)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, place: Emulated, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the file. There is no Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    write(place, ROUTES)
    return tmp_path


def write(place: Emulated, rest: str) -> None:
    url = place.source.manners.base_url.removesuffix("/v2")
    source = f'sources: {{apify: {{token: "{TOKEN}", api_url: "{url}", webhook: {{secrets: [{SECRET}]}}}}}}'
    Path("runrelay.yaml").write_text(f"version: 1\n{source}\n{rest}")


def test_of_every_route_the_first_line_that_does_not_hold_is_said(run: dict[str, Any], capsys: Captured) -> None:
    assert main(["explain", run["id"]]) == 0
    words = {
        "RUN": run["id"],
        "COST": f"${run['usageTotalUsd']:g}",
        "SECS": json.dumps(run["stats"]["runTimeSecs"]),
        "BUILD": ", ".join(filter(None, (run["buildNumber"], run["options"]["build"]))),
    }
    expected = SAID
    for word, value in words.items():
        expected = expected.replace(word, value)
    assert capsys.readouterr().out == expected


def test_scripts_get_an_object_for_each_route(run: dict[str, Any], capsys: Captured) -> None:
    assert main(["explain", run["id"], "--route", "some", "--json"]) == 0
    who, some = told(capsys)
    actor = {"actor": "local/writer", "kept": False, "unknown": []}
    assert who == {"run_id": run["id"], "source": "apify", "status": "SUCCEEDED", **actor}
    missed = {"line": "origin", "wanted": "WEB", "seen": "its origin is API"}
    assert some == {
        "route": "some",
        "asked": True,
        "gone": False,
        "takes": True,
        "missed": None,
        "targets": [
            {"target": "disk", "sink": "disk", "takes": True, "missed": None},
            {"target": "out", "sink": "out", "takes": False, "missed": missed},
        ],
        "final": False,
        "deliveries": [],
        "older": False,
    }


def test_what_no_route_wants_is_unmatched(place: Emulated, run: dict[str, Any], capsys: Captured) -> None:
    only = "\nsinks: {out: {type: stdout}}\nroutes: [{name: one, when: {status: FAILED}, to: [{sink: out}]}]\n"
    write(place, f"{only}unmatched: {{to: [{{sink: out}}]}}\n")
    assert main(["explain", run["id"]]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["unmatched  takes it", "  out  yes"]
    write(place, only)
    assert main(["explain", run["id"]]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "no route takes it, and the file has no `unmatched`: nothing is delivered"


def kept_run(**more: Any) -> Run:
    facts = {"id": "kept00000000000001", "source": "apify", "status": "SUCCEEDED", "terminal": True, "life": "1"}
    return Run(**{**facts, "finished": 1.0, "account": "", "fields": {"status": "SUCCEEDED"}, **more})


def planned(url: str, run: Run, body: bytes = b"", number: int = 0) -> None:
    """The ledger has the run, and what today's file makes of it."""

    async def plan(redis: Redis) -> None:
        ledger = Ledger(redis, Keys("rr"))
        event = Event(id=f"{number}123456789abcdef" * 4, source="apify", run_id=run.id, body=body)
        await RunQueue(redis, Keys("rr")).accept([event])
        table = load(Path("runrelay.yaml"))
        lease, record = await taken(ledger, event.id)
        made = plan_of(record, run, table, scope_of(table.sources["apify"], run, body, "webhook"))
        await ledger.plan(
            lease, made.state, run=made.run, deliveries=made.deliveries, documents=made.documents, keep_body=True
        )

    async def taken(ledger: Ledger, event_id: str) -> tuple[Any, EventRecord]:
        found = await ledger.take_event(event_id, 1)
        assert found
        return found

    asked(url, plan)


@pytest.fixture
def ledger(valkey_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")
    asked(valkey_server, lambda redis: redis.flushall())
    return valkey_server


def test_a_run_is_as_the_ledger_keeps_it_and_what_became_of_it_is_told(
    ledger: str, place: Emulated, capsys: Captured
) -> None:
    """The platform does not know it, and one route has another name by now."""
    routes = """
sinks: {out: {type: stdout}}
routes:
  - {name: heard, where: event.eventType == 'x', to: [{sink: out}]}
  - {name: old, to: [{sink: out}]}
"""
    write(place, routes)
    planned(ledger, kept_run(), b'{"eventType":"x"}')
    write(place, routes.replace("name: old", "name: new").replace("== 'x', to: [{", "== 'x', to: [{name: heard, "))
    for word in ("kept00000000000001", "apify:kept00000000000001", "01234567"):
        assert main(["explain", word]) == 0
        said = capsys.readouterr().out.splitlines()
        ids = [line.rpartition(" ")[2] for line in said if "delivery" in line]
        assert said == [
            "run kept00000000000001 SUCCEEDED, as it was planned",
            "heard  takes it",
            "  heard  yes",
            f"  out  waiting, delivery {ids[0]}",
            "  note: that was planned with another version of this route",
            "new  takes it",
            "  out  yes",
            "old  is no longer in the file",
            f"  out  waiting, delivery {ids[1]}",
        ]


def test_of_a_run_that_finished_twice_it_is_the_last_time_unless_another_is_named(
    ledger: str, place: Emulated, capsys: Captured
) -> None:
    write(place, "sinks: {out: {type: stdout}}\nroutes: [{name: one, to: [{sink: out}]}]\n")
    for number, status in enumerate(("TIMED-OUT", "SUCCEEDED", "ABORTED")):
        finished = (1.0, 3.0, 2.0)[number]
        planned(ledger, kept_run(status=status, life=status, finished=finished), number=number)
    said = {}
    for word in ("kept00000000000001", "01234567", "21234567"):
        assert main(["explain", word, "--json"]) == 0
        who, one = told(capsys)
        said[word] = (who["status"], len(one["deliveries"]))
    assert said == {
        "kept00000000000001": ("SUCCEEDED", 1),
        "01234567": ("TIMED-OUT", 1),
        "21234567": ("ABORTED", 1),
    }


def test_names_that_nobody_may_see_are_said(ledger: str, place: Emulated, capsys: Captured) -> None:
    write(
        place,
        "\nsinks: {out: {type: stdout}}\nroutes: [{name: one, when: {actor: acme/*, task: x}, to: [{sink: out}]}]\n",
    )
    planned(ledger, kept_run(actor_id="actorId1", task_id="taskId1"))
    assert main(["explain", "kept00000000000001"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "run kept00000000000001 SUCCEEDED of actorId1, as it was planned",
        "note: our token may not see the name of its actor: only the id can fit `actor`",
        "note: our token may not see the name of its task: only the id can fit `task`",
        "one  no: `actor: acme/*`, and its actor is actorId1, whose name we may not see",
    ]


def test_a_run_that_goes_on_is_explained_as_far_as_it_is(place: Emulated, capsys: Captured) -> None:
    going = started(place, {"sleep": 60})
    assert main(["explain", going["id"], "--route", "some"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "note: it has not ended: nothing is delivered before that"


@pytest.mark.parametrize(
    ("words", "kind"),
    [(["nobodyKnowsThis01"], "not_found"), (["x", "--route", "som"], "not_found"), (["other:x"], "not_found")],
)
def test_what_cannot_be_meant_is_refused(words: list[str], kind: str, capsys: Captured) -> None:
    assert main(["explain", *words, "--json"]) == 1
    assert told(capsys)[-1]["kind"] == kind

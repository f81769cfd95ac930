"""Runs that are not as their route expects: held, told of, and delivered or given up by a person's word."""

import asyncio
import json
import math
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from config.contracts.delivery import DeliveryState
from config.settings import Settings
from console.cli.main import main
from emulator.scenarios import Answer, Delay, Fault, Scenario
from tests.end_to_end.installation import Installation, eventually, installation
from tests.end_to_end.killing import starter
from tests.end_to_end.test_after import judged, status, waiting_after
from tests.workers.sinks.told import phone
from workers.ledger.records import DeliveryRecord

Captured = pytest.CaptureFixture[str]
States = dict[str, str]


TELL = '{sink: lake, name: told, send: run, path: "{{ run.id }}-{{ items_read }}.json"}'


def routes(expect: str, more: str = "", tell: str = TELL, port: int = 1, extra: str = "") -> str:
    return f"""\
sinks:
  disk: {{type: file, base: "{{folder}}/results"}}
  lake: {{type: file, base: "{{folder}}/lake"}}
  oncall: {{type: notify, url: "json://127.0.0.1:{port}"}}
routes:
  - name: rows
    when: {{status: SUCCEEDED}}
    expect:
      {expect}
      else: [{tell}]
    to:
      - {{sink: disk, path: "{{{{ run.id }}}}{extra}.jsonl"}}
      - {{sink: lake, path: "{{{{ run.id }}}}{extra}.jsonl"}}
    {more}
"""


@pytest.fixture(autouse=True)
def here(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an operator types."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", settings.namespace)


async def typed(capsys: Captured, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """What a command said; the worker beside it may log something meanwhile, also at the beginning of a line."""
    capsys.readouterr()
    code = await asyncio.to_thread(main, [*words, "--json"])
    said = (line.partition('{"')[1:] for line in capsys.readouterr().out.splitlines())
    return code, [json.loads("".join(parts)) for parts in said if parts[0]]


async def rested(place: Installation, run_id: str, count: int = 1) -> list[DeliveryRecord]:
    """Once all there is to do without a person is done, of so many finishes of the run."""

    async def resting() -> list[DeliveryRecord] | None:
        _, before = await place.ledger.of_run("apify", run_id)
        events, ones = await place.ledger.of_run("apify", run_id)
        known = {one.delivery.id for one in ones if one.state.final or one.state is DeliveryState.QUARANTINED}
        done = all(event.state.final and known.issuperset(event.deliveries) for event in events)
        # A gate may end, and lead to others, between the two questions that one look is made of.
        same = [(one.delivery.id, one.state) for one in before] == [(one.delivery.id, one.state) for one in ones]
        return ones if len(events) >= count and done and same and len(known) == len(ones) else None

    return await eventually(resting)


def states(ones: list[DeliveryRecord]) -> States:
    return {one.delivery.target: one.state.value for one in ones}


def lines(folder: Path, run_id: str, place: str = "results") -> int:
    path = folder / place / f"{run_id}.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else -1


async def test_a_run_with_too_few_items_is_held_told_of_once_and_delivered_when_somebody_says_so(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    async with phone() as oncall:
        tell = '{sink: oncall, text: "{{ items_read }} read: {{ held }}"}'
        file = routes("items: {min: 10}", "after: {delete: [dataset]}", tell, oncall.port)
        async with installation(settings, tmp_path, file, actors, quiet="100ms") as place:
            run = await place.start("local~pusher", {"items": 3})
            held = await rested(place, run["id"])
            before = (lines(tmp_path, run["id"]), await place.ledger.after_of((await events(place, run))[0]))
            code, told = await typed(capsys, "quarantine", "release", run["id"])
            let_go = await rested(place, run["id"])
            deleted = await judged(place, await waiting_after(place, run["id"]))
            gone = await status(place, f"/v2/datasets/{run['defaultDatasetId']}")

    why = "3 items, at least 10 were expected"
    assert states(held) == {"expect": "delivered", "disk": "quarantined", "lake": "quarantined", "oncall": "delivered"}
    assert {one.detail for one in held if one.delivery.target != "oncall"} == {why}
    assert oncall.messages == [f"3 read: {why}"]
    assert before == (-1, None)
    assert (code, [one["outcome"] for one in told]) == (0, ["released", "released"])
    assert set(states(let_go).values()) == {"delivered"}
    rows = [row for one in let_go if one.delivery.target in {"disk", "lake"} for row in one.checkpoint.receipts]
    assert [(row.expected, row.read, row.delivered, row.status) for row in rows] == [(3, 3, 3, "balanced")] * 2
    assert (lines(tmp_path, run["id"]), lines(tmp_path, run["id"], "lake")) == (3, 3)
    assert (deleted.state.value, gone) == ("done", 404)


async def events(place: Installation, run: dict[str, Any]) -> list[Any]:
    return (await place.ledger.of_run("apify", run["id"]))[0]


async def test_a_later_finish_that_is_as_expected_goes_on_and_nothing_is_deleted(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    file = routes("items: {min: 5}", "after: {delete: [dataset]}")
    async with installation(settings, tmp_path, file, actors, quiet="100ms") as place:
        run = await place.start("local~pusher", {"items": 3})
        first = await rested(place, run["id"])
        await place.api("POST", f"/v2/actor-runs/{run['id']}/resurrect")
        both = await rested(place, run["id"], count=2)
        released = await typed(capsys, "quarantine", "release", run["id"])
        discarded = await typed(capsys, "quarantine", "discard", "--route", "rows", "--yes")
        after = await judged(place, await waiting_after(place, run["id"]))
        stays = await status(place, f"/v2/datasets/{run['defaultDatasetId']}")
        _, ones = await place.ledger.of_run("apify", run["id"])

    assert states(first)["disk"] == "quarantined"
    later = [one for one in both if one.delivery.life > first[0].delivery.life]
    assert states(later) == {"expect": "delivered", "disk": "delivered", "lake": "delivered"}
    assert (released[0], {one["outcome"] for one in released[1]}) == (1, {"superseded"})
    assert (discarded[0], {one["outcome"] for one in discarded[1]}) == (0, {"discarded"})
    older = [one for one in ones if one.delivery.life == first[0].delivery.life]
    assert states(older) == {"expect": "delivered", "disk": "dropped", "lake": "dropped", "told": "delivered"}
    assert lines(tmp_path, run["id"]) == 6
    assert (after.state.value, after.reason, stays) == ("kept", "not_delivered", 200)


@dataclass
class Watched:
    """Where reading began, of each page that was asked for."""

    offsets: list[int] = field(default_factory=list)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        asked = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
        self.offsets.append(int(asked.get("offset", 0)))
        await app(scope, receive, send)


async def test_what_is_counted_only_is_not_read_and_what_is_released_is_usual_from_then_on(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    watched = Watched()
    seen = Scenario([Fault("GET /v2/datasets/*/items", watched, times=math.inf)])
    file = routes("items: {drop_from_usual: 50%}")
    async with installation(settings, tmp_path, file, actors, scenario=seen, quiet="100ms") as place:
        run = await place.start("local~pusher", {"items": 9})
        await rested(place, run["id"])
        (event, *_) = await events(place, run)
        actor = event.run.actor_id
        alone = await place.ledger.usual("rows", actor)
        await cast(Any, place.ledger.redis.lpush(place.ledger.keys.usual("rows", actor), 100, 90, 110, 95))
        watched.offsets.clear()
        fallen = await place.start("local~pusher", {"items": 40})
        held = await rested(place, fallen["id"])
        offsets = list(watched.offsets)
        _, listed = await typed(capsys, "quarantine", "list")
        _, shown = await typed(capsys, "quarantine", "show", fallen["id"])
        released, _ = await typed(capsys, "quarantine", "release", "--route", "rows")
        await rested(place, fallen["id"])
        numbers = await place.ledger.usual("rows", actor)

    assert alone == [9], "it is as expected as long as nothing is usual"
    assert set(offsets) == {40}, "an end was looked for, and no row asked for"
    why = "40 items, 95 are usual, and at most 50% fewer were expected"
    assert {one.delivery.target for one in held if one.detail == why} == {"disk", "lake", "expect"}
    assert {(one["target"], one["items_read"], one["detail"]) for one in listed} == {
        ("disk", 40, why),
        ("lake", 40, why),
    }
    assert shown[0]["usual"] == [95, 110, 90, 100, 9]
    assert released == 0
    assert numbers == [40, 95, 110, 90, 100, 9], "counted once, though two targets were let go"


FILLING = routes("filled: {n: 60%, nothing: 50%}", "read: {dataset: [default, reviews]}", extra="-{{ dataset }}")
TWO = """
import json, os, urllib.request

BASE, TOKEN = os.environ["APIFY_API_BASE_URL"], os.environ["APIFY_TOKEN"]
for alias, count in (("default", 3), ("reviews", 4)):
    dataset = json.loads(os.environ["ACTOR_STORAGES_JSON"])["datasets"][alias]
    rows = json.dumps([{"n": n} for n in range(count)]).encode()
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{BASE}/v2/datasets/{dataset}/items", rows, headers)).read()
"""


async def test_all_datasets_count_together_and_a_gate_that_died_goes_on(
    settings: Settings, tmp_path: Path, actors: Path, capsys: Captured
) -> None:
    (actors / "pusher" / "actor.yaml").write_text(
        'name: pusher\ncommand: ["{python}", "main.py"]\ndatasets: {default: {}, reviews: {}}\n'
    )
    (actors / "pusher" / "main.py").write_text(TWO)
    broken = Scenario([Fault("GET /v2/datasets/*/items", Answer(400), after=1)])
    async with installation(settings, tmp_path, FILLING, actors, scenario=broken, quiet="100ms") as place:
        run = await place.start("local~pusher")
        (gate,) = await rested(place, run["id"])
        retried, _ = await typed(capsys, "dlq", "retry", gate.delivery.id)
        held = await rested(place, run["id"])
        again, left = await typed(capsys, "replay", run["id"])

    assert (gate.delivery.target, gate.state, gate.reason) == ("expect", "dead", "source_refused")
    assert retried == 0
    assert {one.detail for one in held if one.state == "quarantined"} == {
        "`nothing` is filled in 0 of 7 items, in 50% of them it was expected"
    }
    made = {one["target"]: one["outcome"] for one in left if "target" in one}
    assert (again, made) == (0, {"told": "replayed", "disk": "quarantined", "lake": "quarantined"})


async def test_a_worker_killed_while_a_gate_reads_counts_no_row_twice(settings: Settings, tmp_path: Path) -> None:
    actor = tmp_path / "actors" / "maker"
    actor.mkdir(parents=True)
    (actor / "actor.yaml").write_text("name: maker\nscript: {rows: 5000}\n")
    slow = Scenario([Fault("GET /v2/datasets/*/items", Delay(0.05), times=math.inf)])
    file = routes("filled: {id: 100%, nothing: 10%}")
    async with installation(settings, tmp_path, file, actor.parent, scenario=slow, working=False) as place:
        run, start = await place.start("local~maker"), starter(settings, tmp_path, 1500)
        worker = await start("", "2")
        assert await worker.wait() == -signal.SIGKILL
        (gate,) = (await place.ledger.of_run("apify", run["id"]))[1]
        worker = await start()
        try:
            held = await rested(place, run["id"])
        finally:
            worker.kill()
            await worker.wait()

    assert 0 < gate.checkpoint.tally["items:default|items"] < 5000, "it was killed in the middle"
    why = "`nothing` is filled in 0 of 5000 items, in 10% of them it was expected"
    assert {one.detail for one in held if one.state == "quarantined"} == {why}

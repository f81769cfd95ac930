"""What goes wrong on the way, and what the ledger says about it."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from config.settings import Settings, load_settings
from emulator.scenarios import Answer, Duplicate, Fault, Scenario, Truncate
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import SECRET, eventually, installation
from tests.workers.sinks.database import Database
from workers.ledger.records import DeliveryRecord

FILE = """\
sinks:
  disk: {type: file, base: "{folder}/results"}
routes:
  - name: all
    when: {status: SUCCEEDED}
    to: [{sink: disk, path: "{{ run.id }}.jsonl"}]
"""
QUICK = "retry: {backoff: [0s, 100ms], for: 60s}"


def to_crm(side: FarSide) -> str:
    return f"""\
sinks: {{crm: {{type: http, url: "{side.url}"}}}}
routes: [{{name: all, when: {{}}, to: [{{sink: crm}}]}}]
"""


def lines(folder: Path, run_id: str) -> list[int]:
    text = (folder / "results" / f"{run_id}.jsonl").read_text()
    return [json.loads(line)["n"] for line in text.splitlines()]


async def test_counts_that_lag_do_not_shorten_the_read(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, FILE, actors, item_count_lag=2.0, quiet="3s") as place:
        run = await place.start("local~pusher", {"items": 1500})
        _, (delivery,) = await place.finished(run["id"])
    assert delivery.state is DeliveryState.DELIVERED
    assert [row.status for row in delivery.checkpoint.receipts] == ["balanced"]
    assert lines(tmp_path, run["id"]) == list(range(1500))


async def test_a_platform_in_trouble_only_delays(settings: Settings, tmp_path: Path, actors: Path) -> None:
    trouble = Scenario()
    routes = FILE + "defaults: {" + QUICK + "}\n"
    async with installation(settings, tmp_path, routes, actors, scenario=trouble) as place:
        trouble.add(
            Fault("GET /v2/datasets/*/items", Answer(503, b"<html>gateway</html>")),
            Fault("GET /v2/datasets/*/items", Truncate(4000)),
            Fault("GET /v2/datasets/*/items", Answer(429)),
            Fault("GET /v2/datasets/*/items", Answer(404, b'{"error":{"type":"record-not-found","message":"m"}}')),
        )
        run = await place.start("local~pusher", {"items": 1200})
        _, (delivery,) = await place.finished(run["id"])
    assert delivery.state is DeliveryState.DELIVERED
    assert [fault.times for fault in trouble.faults] == [0, 0, 0, 0]
    assert (delivery.attempt, delivery.trouble) == (0, 0), "getting further makes good what failed before"
    assert lines(tmp_path, run["id"]) == list(range(1200))


async def test_a_webhook_sent_thrice_has_one_effect(settings: Settings, tmp_path: Path, actors: Path) -> None:
    twice = Scenario([Fault("WEBHOOK ACTOR.RUN.*", Duplicate(copies=2))])
    async with far_side() as side:
        routes = to_crm(side)
        async with installation(settings, tmp_path, routes, actors, scenario=twice) as place:
            run = await place.start("local~pusher", {"items": 10})
            events, deliveries = await place.finished(run["id"])
    assert (len(events), len(deliveries)) == (1, 1)
    assert len(side.requests) == 1


async def test_a_run_that_finishes_twice_sends_each_row_once(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with far_side() as side:
        routes = f"""\
sinks:
  crm: {{type: http, url: "{side.url}"}}
  disk: {{type: file, base: "{{folder}}/results"}}
  books: {{type: sqlite, path: "{{folder}}/runs.db"}}
routes:
  - name: all
    when: {{}}
    to:
      - {{sink: crm}}
      - {{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}
      - {{sink: books, table: results}}
      - {{sink: books, name: anew, table: anew, mode: replace_run}}
"""
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 10})
            await place.finished(run["id"])
            store = run["defaultKeyValueStoreId"]
            await place.api("PUT", f"/v2/key-value-stores/{store}/records/INPUT", json={"items": 5})
            await place.api("POST", f"/v2/actor-runs/{run['id']}/resurrect")
            again = await place.api("GET", f"/v2/actor-runs/{run['id']}", params={"waitForFinish": 60})
            body = {
                "eventType": "ACTOR.RUN.SUCCEEDED",
                "eventData": {"actorRunId": run["id"]},
                "at": again["finishedAt"],
            }
            async with place.http.post(
                f"{place.door}/webhooks/apify", json=body, headers={"Authorization": SECRET}
            ) as answer:
                assert (await answer.json())["status"] == "accepted"
            events, deliveries = await place.finished(run["id"], count=2)
    assert {event.state for event in events} == {EventState.PLANNED}
    assert len(deliveries) == 8
    assert {one.state for one in deliveries} == {DeliveryState.DELIVERED}
    assert [item["n"] for item in side.items] == list(range(15))
    assert lines(tmp_path, run["id"]) == list(range(15))
    assert Database(tmp_path / "runs.db").rows("SELECT _item, n FROM results") == [(n, n) for n in range(15)]
    assert Database(tmp_path / "runs.db").rows("SELECT _item, n FROM anew") == [(n, n) for n in range(15)]
    whole = [one for one in deliveries if one.delivery.target == "anew"][-1].checkpoint.receipts[0]
    assert (whole.from_offset, whole.expected, whole.delivered) == (0, 15, 15)
    second = [one for one in deliveries if one.delivery.target == "crm"][-1].checkpoint.receipts[0]
    assert (second.from_offset, second.expected, second.delivered, second.status) == (10, 5, 5, "balanced")


async def test_a_target_that_refuses_its_secret_waits_and_goes_on(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    async with far_side() as side:
        side.always = 401
        routes = to_crm(side)
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 10})

            async def paused() -> DeliveryRecord | None:
                _, deliveries = await place.ledger.of_run("apify", run["id"])
                return next((one for one in deliveries if one.state is DeliveryState.PAUSED), None)

            delivery = await eventually(paused)
    assert (delivery.reason, delivery.attempt) == ("token_refused", 0)


async def test_a_target_that_says_no_ends_in_a_dead_letter(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with far_side() as side:
        side.always = 404
        routes = to_crm(side)
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 10})
            _, (delivery,) = await place.finished(run["id"])
            dead = await place.ledger.redis.zrange("rr:dead", 0, -1)
    assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "target_refused")
    assert "as told" in delivery.detail
    assert dead == [f"dl:{delivery.delivery.id}".encode()]


async def test_long_work_goes_on_in_slices_within_a_short_job_timeout(
    valkey_url: str, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sinks._file_items.Growing.takes_pages", False)
    short = load_settings(
        redis_url=valkey_url, spool_dir=tmp_path / "spool", slice_seconds=0.2, job_timeout=2, max_jobs=1
    )
    routes = FILE + "defaults: {batch: {items: 10}}\n"
    async with installation(short, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 2000})
        _, (delivery,) = await place.finished(run["id"])
        wakes = int(await place.ledger.redis.hget(f"rr:dl:{delivery.delivery.id}", "seq") or 0)  # type: ignore[misc]
    assert delivery.state is DeliveryState.DELIVERED
    assert delivery.attempt == 0
    assert wakes >= 4
    assert lines(tmp_path, run["id"]) == list(range(2000))


async def test_runs_nobody_wants_are_kept_as_unmatched(settings: Settings, tmp_path: Path, actors: Path) -> None:
    routes = FILE + 'unmatched: {to: [{sink: disk, path: "unmatched/{{ run.id }}.json"}]}\n'
    async with installation(settings, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 1, "exit": 3})
        (event,), (delivery,) = await place.finished(run["id"])
    assert (event.state, event.reason) == (EventState.UNMATCHED, "no_route")
    assert delivery.state is DeliveryState.DELIVERED
    kept = json.loads((tmp_path / "results" / "unmatched" / f"{run['id']}.json").read_text())
    assert (kept["id"], kept["status"], kept["exitCode"]) == (run["id"], "FAILED", 3)


async def test_a_run_of_somebody_else_is_a_dead_letter(settings: Settings, tmp_path: Path, actors: Path) -> None:
    routes = FILE
    async with installation(settings, tmp_path, routes, actors) as place:
        place.table.sources["apify"].accounts = ("somebodyElse",)
        run = await place.start("local~pusher", {"items": 1})
        (event,), deliveries = await place.finished(run["id"])
    assert (event.state, event.reason, deliveries) == (EventState.DEAD, "run_foreign", [])


async def test_rows_a_table_refuses_are_named_and_the_rest_is_delivered(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    books = Database(tmp_path / "runs.db")
    books.change("CREATE TABLE results (n CHECK (n % 4 <> 1))")
    routes = """\
sinks: {books: {type: sqlite, path: "{folder}/runs.db"}}
routes: [{name: all, when: {}, to: [{sink: books, table: results}]}]
"""
    with capture_logs() as logs:
        async with installation(settings, tmp_path, routes, actors) as place:
            run = await place.start("local~pusher", {"items": 10})
            _, (delivery,) = await place.finished(run["id"])
    (row,) = delivery.checkpoint.receipts
    assert (delivery.state, row.status, row.rejected) == (DeliveryState.PARTIAL, "balanced", 3)
    assert books.rows("SELECT n FROM results") == [(n,) for n in range(10) if n % 4 != 1]
    why = "CHECK constraint failed: n % 4 <> 1"
    (told,) = [one for one in logs if one["event"] == "delivery.rejected"]
    assert (told["count"], told["items"]) == (3, {1: why, 5: why, 9: why})


async def test_a_part_file_that_keeps_vanishing_ends_in_a_dead_letter(
    settings: Settings, tmp_path: Path, actors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.progress.CHECKPOINTS", 5)
    routes = FILE + "defaults: {batch: {items: 10}}\n"
    monkeypatch.setattr("workers.staging._holds", lambda fd, mark: False)
    monkeypatch.setattr("workers.sinks._file_items.Growing.takes_pages", False)
    one_slot = settings.model_copy(update={"max_jobs": 1})
    async with installation(one_slot, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 200})
        _, (delivery,) = await place.finished(run["id"])
    assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "target_unavailable")
    assert "do all workers see the same folder?" in delivery.detail


async def test_a_step_that_outlasts_the_job_is_an_attempt(valkey_url: str, tmp_path: Path, actors: Path) -> None:
    short = load_settings(redis_url=valkey_url, spool_dir=tmp_path / "spool", slice_seconds=0.5, job_timeout=1.5)
    async with far_side(pause=3.0) as side, installation(short, tmp_path, to_crm(side), actors) as place:
        run = await place.start("local~pusher", {"items": 10})

        async def tried() -> DeliveryRecord | None:
            _, deliveries = await place.ledger.of_run("apify", run["id"])
            return next((one for one in deliveries if one.attempt), None)

        delivery = await eventually(tried)
    assert (delivery.state, delivery.reason) == (DeliveryState.WAITING, "too_slow")
    assert delivery.detail == "one step took longer than 1 s"


@pytest.mark.parametrize(("patience", "state", "reason"), [(30.0, "delivered", ""), (2.0, "waiting", "too_slow")])
async def test_publishing_may_take_longer_than_any_other_step(
    valkey_url: str, tmp_path: Path, actors: Path, patience: float, state: str, reason: str
) -> None:
    short = load_settings(
        redis_url=valkey_url,
        spool_dir=tmp_path / "spool",
        slice_seconds=0.5,
        job_timeout=1.5,
        publish_timeout=patience,
    )
    routes = FILE.replace("type: file,", "type: tests.end_to_end.picky_file, pause: 3,")
    async with installation(short, tmp_path, routes, actors) as place:
        run = await place.start("local~pusher", {"items": 3})

        async def tried() -> DeliveryRecord | None:
            _, deliveries = await place.ledger.of_run("apify", run["id"])
            return next((one for one in deliveries if one.state.final or one.attempt), None)

        delivery = await eventually(tried)
    assert (delivery.state, delivery.reason) == (state, reason)

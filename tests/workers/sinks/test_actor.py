"""The Actor sink: what is started, with what, and that it is started once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.contracts.errors import NotYet, Permanent, Transient, Unauthorized
from config.contracts.sink import Surroundings, Taken
from emulator.scenarios import Answer, Fault
from tests.workers.sinks.started import SECRET, Platform, platform
from workers.sinks import actor
from workers.testing.contract import Connect, FarSide, SinkContract, send
from workers.testing.shipments import batches, document, shipment

URL = "https://hooks.example.com"
PER_BATCH = actor.Target.model_validate({"actor": "local/detail", "input": {"n": "{{ items }}"}})


@pytest.fixture
async def far_side(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform(tmp_path) as place:
        yield place


def opener(place: Platform, public_url: str = "", **options: Any) -> Connect:
    config = actor.Config.model_validate({"source": "apify", "lag": "0s", **options})
    return lambda: actor.connect(config, Surroundings(place.folder, place.named, public_url))


@pytest.fixture
def connect(far_side: Platform) -> Connect:
    return opener(far_side)


def target(**options: Any) -> actor.Target:
    return actor.Target.model_validate({"actor": "local/detail", **options})


def refusal(status: int, kind: str) -> Answer:
    return Answer(status, json.dumps({"error": {"type": kind, "message": "as told"}}).encode())


async def start_per_run(connect: Connect, options: actor.Target, **facts: Any) -> Taken:
    async with connect() as sink, sink.open(shipment(options, stream="run", **facts), None) as writer:
        taken = await writer.document(document("run.json", "application/json", b"{}"))
        await writer.publish()
    return taken


class TestActor(SinkContract):
    module = actor
    options = target(input={"run": "{{ run.id }}", "items": "{{ items }}"})

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: FarSide) -> None:
        """It takes runs, and tells their ids."""
        assert frozenset({"items", "run"}) == actor.TAKES
        taken = await start_per_run(connect, target())
        (body,) = far_side.documents("r1")
        assert json.loads(body) == {
            "runId": "r1", "status": "SUCCEEDED", "actorId": "", "datasetId": None,
            "keyValueStoreId": None, "requestQueueId": None,
        }  # fmt: skip
        assert (taken.rows, taken.out, taken.bytes) == (1, 1, len(body))

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: FarSide) -> None:
        for _ in range(2):
            await start_per_run(connect, target())
        assert len(far_side.documents("r1")) == 1


# what is started


async def test_a_batch_is_started_with_its_items_as_they_were_written(far_side: Platform) -> None:
    exact = [b'{"id":123456789012345678901234567890,"price":1.10}', b'{"id":2,"e":1E5}']
    given = {
        "startUrls": "{{ items }}",
        "from": "{{ run.id }}",
        "at": "{{ batch.offset }}",
        "n": "n={{ batch.count }}",
    }
    async with opener(far_side)() as sink:
        await send(sink, shipment(target(input=given)), batches(exact, [b"7"]))
    assert [one.body for one in far_side.asked] == [
        b'{"startUrls":[' + b",".join(exact) + b'],"from":"r1","at":0,"n":"n=2"}',
        b'{"startUrls":[7],"from":"r1","at":2,"n":"n=1"}',
    ]


async def test_without_an_input_a_batch_comes_with_the_runs_ids(far_side: Platform) -> None:
    async with opener(far_side)() as sink:
        await send(sink, shipment(target()), batches([b"1", b"2"]))
    told = far_side.asked[0].input
    assert (told["runId"], told["items"], told["batch"]) == ("r1", [1, 2], {"index": 0, "offset": 0, "count": 2})


async def test_run_options_travel_as_the_platform_names_them(far_side: Platform) -> None:
    options = target(
        timeout="5m", memory=256, build="latest", max_items=10, max_total_charge_usd=0.5, restart_on_error=False
    )
    await start_per_run(opener(far_side), options)
    assert far_side.asked[0].query == {
        "timeout": "300", "memory": "256", "build": "latest", "maxItems": "10", "maxTotalChargeUsd": "0.5",
        "restartOnError": "false",
    }  # fmt: skip


async def test_a_task_is_started_once_as_well(far_side: Platform) -> None:
    task = {"actId": "local~detail", "name": "nightly", "input": {"kept": 1, "runId": "overridden"}}
    await far_side.api.send("POST", "/actor-tasks", body=json.dumps(task).encode())
    far_side.lost = 1
    for _ in range(2):
        await start_per_run(opener(far_side), actor.Target(task="local/nightly"))
    (run,) = await far_side.runs()
    assert [one.path for one in far_side.asked] == ["/v2/actor-tasks/local~nightly/runs"]
    assert run["actorTaskId"]


async def test_a_list_without_dates_is_read_as_far_as_our_start_can_be(far_side: Platform) -> None:
    old = {"id": "OldRun1", "startedAt": "2026-02-28T10:00:00.000Z", "meta": {"userAgent": None}}
    started = {"data": {**old, "id": "New1", "startedAt": "2026-03-01T11:00:00.000Z"}}
    pages = Fault("GET /v2/actor-tasks/local~old/runs", Answer(200, json.dumps({"data": {"items": [old]}}).encode()), 2)
    starts = Fault("POST /v2/actor-tasks/local~old/runs", Answer(201, json.dumps(started).encode()))
    far_side.scenario.faults[:0] = [pages, starts]
    taken = await start_per_run(opener(far_side), actor.Target(task="local/old"))
    assert (taken.position, pages.times) == ({"run": "New1", "since": "2026-03-01T11:00:00.000Z"}, 1)


async def test_the_run_reports_to_our_receiver_and_says_how_deep_the_chain_is(far_side: Platform) -> None:
    await start_per_run(opener(far_side, f"{URL}/"), target())
    (asked,) = far_side.asked
    (webhook,) = asked.webhooks
    assert webhook["requestUrl"] == f"{URL}/webhooks/apify"
    assert json.loads(webhook["headersTemplate"]) == {"Authorization": f"Bearer {SECRET}"}
    assert len(webhook["eventTypes"]) == 4
    tag = asked.agent.split()[0].removeprefix("Runrelay/")
    assert webhook["idempotencyKey"] == f"runrelay-{tag}"
    assert webhook["payloadTemplate"].endswith('"resource":{{resource}},"runrelay":{"chain":1}}')
    (run,) = await far_side.runs()
    assert run["meta"]["userAgent"] == f"Runrelay/{tag} chain/1"
    assert shipment(target(), stream="run").delivery.id.startswith(tag.split(".")[0])


async def test_without_a_public_address_there_is_no_webhook(far_side: Platform) -> None:
    await start_per_run(opener(far_side), target())
    assert far_side.asked[0].webhooks == []


# once


async def test_a_start_whose_answer_is_lost_is_found_at_once(far_side: Platform) -> None:
    far_side.lost = 1
    taken = await start_per_run(opener(far_side), target())
    (run,) = await far_side.runs()
    assert taken.position == {"run": run["id"], "since": run["startedAt"]}
    assert len(far_side.asked) == 1


async def test_while_the_list_lags_nothing_is_started_and_the_next_look_finds_it(far_side: Platform) -> None:
    far_side.lost = 1
    nothing = Answer(200, b'{"data":{"items":[],"total":0,"offset":0,"limit":1000,"count":0,"desc":true}}')
    far_side.scenario.faults.insert(0, Fault("GET /v2/acts/local~detail/runs", nothing, times=2))
    with pytest.raises(Transient) as caught:
        await start_per_run(opener(far_side, lag="500ms"), target())
    assert (caught.value.reason, caught.value.retry_after) == ("target_unavailable", 0.5)
    taken = await start_per_run(opener(far_side, lag="500ms"), target())
    (run,) = await far_side.runs()
    assert taken.position == {"run": run["id"], "since": run["startedAt"]}
    assert len(far_side.asked) == 1


async def test_an_unknown_outcome_waits_for_the_list_also_if_the_list_cannot_be_had(far_side: Platform) -> None:
    far_side.lost = 1
    trouble = Fault("GET /v2/acts/local~detail/runs", refusal(402, "concurrent-runs-limit-exceeded"))
    far_side.scenario.faults[:0] = [
        Fault("GET /v2/acts/local~detail/runs", Answer(200, b'{"data":{"items":[]}}')),
        trouble,
    ]
    with pytest.raises(Transient) as caught:
        await start_per_run(opener(far_side, lag="1ms"), target())
    assert (trouble.times, caught.value.retry_after) == (0, 0.001)


async def test_a_start_that_is_cut_short_waits_for_the_list_as_well(far_side: Platform) -> None:
    far_side.stuck = asyncio.Event()
    starting = asyncio.create_task(start_per_run(opener(far_side, lag="5m"), target()))
    await far_side.stuck.wait()
    starting.cancel()
    with pytest.raises(Transient) as caught:
        await starting
    assert caught.value.retry_after == 300.0
    far_side.stuck = None
    await start_per_run(opener(far_side), target())
    assert len(await far_side.runs()) == 1


async def test_a_kill_between_the_start_and_the_checkpoint_starts_nothing_twice(far_side: Platform) -> None:
    ship = shipment(PER_BATCH)
    first, second, third = batches([b"1"], [b"2"], [b"3"])
    async with opener(far_side)() as sink:
        _, position = await send(sink, ship, [first], publish=False)
        await send(sink, ship, [second], position, publish=False)  # and its checkpoint never came
    async with opener(far_side)() as sink:
        taken, _ = await send(sink, ship, [second, third], position)
    assert [one.input for one in far_side.asked] == [{"n": [1]}, {"n": [2]}, {"n": [3]}]
    runs = await far_side.runs()
    assert [one.position["run"] for one in taken if one.position] == [runs[1]["id"], runs[2]["id"], runs[2]["id"]]


async def test_after_a_turn_that_broke_off_the_list_has_its_time_before_another_start(far_side: Platform) -> None:
    nothing = Answer(200, b'{"data":{"items":[]}}')
    await start_per_run(opener(far_side), target())  # and its checkpoint never came
    far_side.scenario.faults.insert(0, Fault("GET /v2/acts/local~detail/runs", nothing))
    with pytest.raises(NotYet) as caught:
        await start_per_run(opener(far_side, lag="40s"), target(), unsure=True)
    assert (caught.value.reason, caught.value.wait) == ("target_unavailable", 40.0)
    await start_per_run(opener(far_side), target())
    assert len(far_side.asked) == 1


async def test_once_the_first_start_is_found_the_others_of_the_turn_are_made_at_once(far_side: Platform) -> None:
    first, second = batches([b"1"], [b"2"])
    async with opener(far_side)() as sink:
        await send(sink, shipment(PER_BATCH), [first], publish=False)
        await send(sink, shipment(PER_BATCH, unsure=True), [first, second])
    assert [one.input for one in far_side.asked] == [{"n": [1]}, {"n": [2]}]


async def test_an_item_that_no_number_can_hold_is_a_dead_letter(far_side: Platform) -> None:
    async with opener(far_side)() as sink:
        with pytest.raises(Permanent, match="template_failed"):
            await send(sink, shipment(target(input="{{ items[0].n }}")), batches([b'{"n":1e400}']))
    assert far_side.asked == []


async def test_an_input_the_platform_is_sure_to_refuse_is_not_sent(far_side: Platform) -> None:
    async with opener(far_side)() as sink:
        with pytest.raises(Permanent, match="target_refused: an input of 9437186 bytes, the platform takes 9437184"):
            await send(sink, shipment(target(input="{{ items }}")), batches([b"1" * 9437184]))
        await send(sink, shipment(target(input="{{ items }}")), batches([b'"%s"' % (b"1" * 9437180)]))
    assert [len(one.body) for one in far_side.asked] == [9437184]


async def test_a_platform_that_loses_the_tag_is_told_about_once(
    far_side: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    run = {"id": "R1", "startedAt": "2026-03-01T11:00:00.000Z", "meta": {"origin": "API", "userAgent": None}}
    started = Answer(201, json.dumps({"data": run}).encode())
    far_side.scenario.faults.insert(0, Fault("POST /v2/acts/local~detail/runs", started, times=2))
    actor._warn_of_tag.cache_clear()
    for _ in range(2):
        await start_per_run(opener(far_side), target())
    assert capsys.readouterr().out.count("actor.tag_lost") == 1


async def test_streams_targets_and_generations_are_starts_of_their_own(far_side: Platform) -> None:
    async with opener(far_side)() as sink:
        for changes in ({}, {"stream": "items:other"}, {"generation": 1}, {"route": "another"}):
            await send(sink, shipment(PER_BATCH, **changes), batches([b"1"]))
    assert len({run["meta"]["userAgent"] for run in await far_side.runs()}) == 4


async def test_runs_of_others_are_not_ours(far_side: Platform) -> None:
    for agent in ("Runrelay", "Runrelay/0.1 chain/1", "curl/8"):
        await far_side.api.send("POST", "/acts/local~detail/runs", body=b"{}", headers={"User-Agent": agent})
    await start_per_run(opener(far_side), target())
    assert len(await far_side.runs()) == 4


async def test_too_many_runs_to_look_through_are_no_reason_to_start_another(
    far_side: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.sources.apify.tagging.MOST", 2)
    for _ in range(3):
        await far_side.api.send("POST", "/acts/local~detail/runs", body=b"{}")
    with pytest.raises(Permanent, match="target_refused: local/detail was started 2 times since"):
        await start_per_run(opener(far_side), target())
    assert len(await far_side.runs()) == 3


# chains


@pytest.mark.parametrize(
    ("facts", "chain"),
    [
        ({}, 1),
        ({"fields": {"meta": {"userAgent": "Runrelay/a.b.0 chain/2"}}}, 3),
        ({"fields": {"meta": {"userAgent": None}}, "event": {"runrelay": {"chain": 1}}}, 2),
        ({"fields": {"meta": {"userAgent": "Runrelay/a.b.0 chain/1"}}, "event": {"runrelay": {"chain": 2}}}, 3),
        ({"fields": {"meta": {"userAgent": "Runrelay/a chain/2x"}}, "event": {"runrelay": {"chain": "2"}}}, 1),
        ({"event": {"runrelay": [1]}}, 1),
        ({"event": [1]}, 1),
        ({"event": None}, 1),
    ],
)
async def test_how_deep_a_chain_is_is_known_from_the_run_and_from_its_webhook(
    far_side: Platform, facts: dict[str, Any], chain: int
) -> None:
    await start_per_run(opener(far_side), target(), **facts)
    assert far_side.asked[0].agent.endswith(f" chain/{chain}")


async def test_one_start_too_many_in_a_row_is_refused(far_side: Platform) -> None:
    deep = {"fields": {"meta": {"userAgent": "Runrelay/a.b.0 chain/2"}}}
    await start_per_run(opener(far_side, max_chain=3), target(), **deep)
    with pytest.raises(Permanent, match="chain_too_long: it would be start 3 in a row, max_chain is 2"):
        await start_per_run(opener(far_side, max_chain=2), target(), route="other", **deep)
    assert len(far_side.asked) == 1


# what the platform says


@pytest.mark.parametrize(
    ("status", "kind", "error", "reason"),
    [
        (404, "actor-not-found", Permanent, "target_refused"),
        (400, "invalid-input", Permanent, "target_refused"),
        (403, "insufficient-permissions", Unauthorized, "source_token_refused"),
        (402, "not-enough-usage-to-run-paid-actor", Unauthorized, "source_unpaid"),
        (402, "actor-memory-limit-exceeded", Transient, "target_unavailable"),
        (400, "concurrent-runs-limit-exceeded", Transient, "target_unavailable"),
        (503, "internal-server-error", Transient, "target_unavailable"),
    ],
)
async def test_a_refusal_is_the_targets_and_has_its_verdict(
    far_side: Platform, status: int, kind: str, error: type[Exception], reason: str
) -> None:
    far_side.scenario.faults.insert(0, Fault("POST /v2/acts/local~detail/runs", refusal(status, kind), times=100))
    with pytest.raises(error, match=reason):
        await start_per_run(opener(far_side), target())


async def test_a_source_that_starts_nothing_ends_the_delivery(far_side: Platform) -> None:
    def other(name: str) -> tuple[Any, Any]:
        return object(), far_side.api

    with pytest.raises(Permanent, match="target_refused: the source apify is not of type apify"):
        async with actor.connect(actor.Config(source="apify"), Surroundings(far_side.folder, other)):
            pass


# what the file may say


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say what is started: either `actor` or `task`"),
        ({"actor": "a/b", "task": "a/c"}, "say what is started: either `actor` or `task`"),
        ({"actor": "a/b/c"}, "an Actor is named by its id"),
        ({"task": "a b"}, "an Actor is named by its id"),
        ({"actor": "a/b", "memory": 1000}, "must be a power of 2"),
        ({"actor": "a/b", "per": "run", "input": "{{ items }}"}, "`items` has no meaning with `per: run`"),
        ({"actor": "a/b", "input": {"x": "{{ itmes }}"}}, "unknown name `itmes`: did you mean `items`?"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        actor.Target.model_validate(options)
    assert message in caught.value.errors()[0]["msg"]

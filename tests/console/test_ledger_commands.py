"""`runrelay runs`, `deliveries` and `show`, on a ledger with one delivered, one waiting and one fresh event."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config.contracts.delivery import Checkpoint, Delivery, DeliveryState, Receipt, delivery_id
from config.contracts.event import Event, EventState
from config.contracts.run import Run
from config.keys import Keys
from config.queue import RunQueue
from console.cli.main import main
from workers.ledger.ledger import Ledger

Captured = pytest.CaptureFixture[str]
FIRST, SECOND = "a1" * 32, "a2" * 32
RUN = Run(
    id="RunOne1234567890a", source="apify", status="SUCCEEDED", terminal=True, life="2026-11-22T10:00:00.000Z",
    finished=1.0, account="me",
)  # fmt: skip
ROW = Receipt(route="all", target="out", sink="disk", stream="items:default", read=3, delivered=3, out=1, bytes=30)


def _delivery(target: str) -> Delivery:
    return Delivery(
        id=delivery_id("apify", RUN.id, RUN.life, "all", target), event_id=FIRST, source="apify", run_id=RUN.id,
        life=RUN.life, route="all", target=target, sink="disk", cfg="c" * 64, streams=("items:default",),
    )  # fmt: skip


OUT, COPY = _delivery("out"), _delivery("copy")


async def _fill(redis: Redis) -> None:
    keys = Keys("rr")
    ledger = Ledger(redis, keys)
    events = [
        Event(id=FIRST, source="apify", run_id=RUN.id, kind="ACTOR.RUN.SUCCEEDED", body=b'{"canary": "in the body"}'),
        Event(id=SECOND, source="apify", run_id="RunTwo1234567890a", kind="ACTOR.RUN.\x1b[31mODD"),
    ]
    await RunQueue(redis, keys).accept(events)
    event = await ledger.take_event(FIRST, 1)
    assert event
    await ledger.plan(event[0], EventState.PLANNED, run=RUN, deliveries=[OUT, COPY], documents={"c" * 64: b"{}"})
    out, copy = await ledger.take_delivery(OUT.id, 1), await ledger.take_delivery(COPY.id, 1)
    assert out
    assert copy
    await ledger.checkpoint(out[0], Checkpoint(stream=1, receipts=(ROW.closed(3),)))
    await ledger.finish(out[0], DeliveryState.DELIVERED)
    await ledger.hand_back(copy[0], "waiting", wait=60.0, attempt=2, reason="target_unavailable", detail="HTTP 503")


@pytest.fixture
def ledger(valkey_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def prepare(fill: Callable[[Redis], Awaitable[None]]) -> None:
        redis = Redis.from_url(valkey_server)
        await redis.flushall()
        await fill(redis)
        await redis.aclose()

    asyncio.run(prepare(_fill))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "rr")


def _objects(capsys: Captured) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("ledger")
def test_runs_lists_events_with_what_became_of_them(capsys: Captured) -> None:
    assert main(["runs", "--json"]) == 0
    told = {one["run_id"]: (one["state"], one["status"], one["deliveries"]) for one in _objects(capsys)}
    assert told == {
        RUN.id: ("planned", "SUCCEEDED", {"delivered": 1, "waiting": 1}),
        "RunTwo1234567890a": ("accepted", None, {}),
    }
    assert main(["runs"]) == 0
    assert "1 delivered, 1 waiting" in capsys.readouterr().out


@pytest.mark.usefixtures("ledger")
def test_a_limit_gives_the_newest(capsys: Captured) -> None:
    assert main(["runs", "--json", "--limit", "1"]) == 0
    assert len(_objects(capsys)) == 1


@pytest.mark.usefixtures("ledger")
def test_deliveries_lists_where_to_how_far_and_why(capsys: Captured) -> None:
    assert main(["deliveries", "--json"]) == 0
    told = {one["target"]: (one["state"], one["attempt"], one["reason"], one["detail"]) for one in _objects(capsys)}
    assert told == {"out": ("delivered", 0, "", ""), "copy": ("waiting", 2, "target_unavailable", "HTTP 503")}
    assert main(["deliveries"]) == 0
    assert "target_unavailable" in capsys.readouterr().out


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("id", [RUN.id, FIRST, FIRST[:2] + "a1" * 31])
def test_show_finds_everything_of_a_run_or_an_event(id: str, capsys: Captured) -> None:
    assert main(["show", id, "--json"]) == 0
    event, *deliveries = _objects(capsys)
    assert event["event"] == FIRST
    assert {one["delivery"] for one in deliveries} == {OUT.id, COPY.id}


@pytest.mark.usefixtures("ledger")
def test_show_finds_a_delivery_by_its_beginning_with_its_receipt(capsys: Captured) -> None:
    assert main(["show", OUT.id[:8], "--json"]) == 0
    event, one = _objects(capsys)
    assert (event["event"], one["delivery"]) == (FIRST, OUT.id)
    assert one["receipts"] == [
        {
            "route": "all", "target": "out", "sink": "disk", "stream": "items:default", "expected": 3, "read": 3,
            "added": 0, "filtered": 0, "rejected": 0, "delivered": 3, "out": 1, "bytes": 30, "status": "balanced",
            "warnings": [],
        }
    ]  # fmt: skip


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(("id", "kind"), [("a1a1a1a", "not_found"), ("f" * 64, "not_found"), ("*", "not_found")])
def test_what_is_not_known_is_said(id: str, kind: str, capsys: Captured) -> None:
    assert main(["show", id, "--json"]) == 1
    assert [one["kind"] for one in _objects(capsys)] == [kind]


@pytest.mark.usefixtures("ledger")
def test_the_beginning_of_several_ids_is_ambiguous(valkey_server: str, capsys: Captured) -> None:
    async def another() -> None:
        redis = Redis.from_url(valkey_server)
        await RunQueue(redis, Keys("rr")).accept([Event(id="a1" * 31 + "ff", source="apify", run_id="R")])
        await redis.aclose()

    asyncio.run(another())
    assert main(["show", "a1a1a1a1", "--json"]) == 1
    assert [one["kind"] for one in _objects(capsys)] == ["ambiguous"]


@pytest.mark.usefixtures("ledger")
def test_bodies_stay_in_the_ledger_and_nothing_steers_the_terminal(capsys: Captured) -> None:
    for words in (["runs"], ["show", "RunTwo1234567890a"], ["show", RUN.id], ["show", RUN.id, "--json"]):
        assert main(words) == 0
    told = capsys.readouterr().out
    assert "canary" not in told
    assert "\x1b" not in told
    assert "\\x1b[31mODD" in told


@pytest.mark.parametrize("command", ["runs", "deliveries"])
def test_an_empty_ledger_is_no_error(
    command: str, valkey_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey_server)
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "empty")
    assert main([command, "--json"]) == 0
    assert _objects(capsys) == []
    assert main([command]) == 0

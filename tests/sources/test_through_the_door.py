"""Events of every platform through the real door, and planned: real HTTP, real Redis, the stand-ins of the contract."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from config.contracts.event import EventState
from config.keys import Keys
from config.queue import RunQueue
from config.routes import load
from config.settings import Settings
from receiver.app import create_app
from tests.receiver.wire import Reply, Wire, running
from tests.sources.apify_place import apify_place
from tests.sources.generic_place import generic_place
from tests.sources.ittybit_place import ittybit_place
from tests.sources.serving import Options
from tests.sources.test_apify_contract import TestApify as Apify
from tests.sources.test_generic_contract import TestGeneric as Generic
from tests.sources.test_ittybit_contract import TestIttybit as Ittybit
from workers.ledger.ledger import Ledger
from workers.ledger.records import EventRecord
from workers.planning import plan_event
from workers.runtime import Runtime
from workers.testing.source_contract import STRANGE, Place, SourceContract, Webhook, asking

SOURCE = "account"


Opened = Callable[[], AbstractAsyncContextManager[Any]]


@dataclass
class Installation:
    """A receiver, and whatever a worker needs to plan.

    Attributes:
        words: what the platform calls things.
    """

    place: Place
    words: type[SourceContract]
    wire: Wire
    runtime: Runtime
    redis: Redis

    async def send(self, webhook: Webhook) -> Reply:
        how = {"secret": f"Bearer {webhook.secret}"} if webhook.secret else {}
        headers = {name.replace("-", "_"): value for name, value in webhook.headers.items() if name != "content-type"}
        return await self.wire.post(f"/webhooks/{SOURCE}", webhook.body, **how, **headers)

    async def events(self) -> list[str]:
        return [member.decode() for member in await self.redis.zrange(self.runtime.ledger.keys.events, 0, -1)]

    async def planned(self) -> EventRecord:
        """The only event, once its newest wake-up has come."""
        (event,) = await self.events()
        seq = await cast(Any, self.redis.hget(self.runtime.ledger.keys.record("ev", event), "seq"))
        await plan_event(self.runtime, event, int(seq))
        record = await self.runtime.ledger.event(event)
        assert record is not None
        return record

    async def a_minute_passes(self) -> None:
        """For sources that are paused: the next one may try."""
        await cast(Any, self.redis.hset(self.runtime.ledger.keys.circuit(f"source:{SOURCE}"), "probe_at", "0"))
        await self.runtime.ledger.sweep(10)

    async def waits(self, event: EventRecord) -> bool:
        """Whether somebody goes on with it without anybody's doing."""
        return await self.redis.zscore(self.runtime.ledger.keys.due, f"ev:{event.id}") is not None


def file_of(options: Options) -> str:
    return json.dumps(
        {
            "version": 1,
            "sources": {SOURCE: options},
            "sinks": {"disk": {"type": "file", "base": "results/"}},
            "routes": [{"name": "all", "to": [{"sink": "disk", "path": "{{ run.id }}.jsonl"}]}],
        }
    )


@pytest.fixture(
    params=[(apify_place, Apify), (ittybit_place, Ittybit), (generic_place, Generic)],
    ids=["apify", "ittybit", "generic"],
)
async def installation(
    request: pytest.FixtureRequest, settings: Settings, redis: Redis, tmp_path: Path
) -> AsyncIterator[Installation]:
    opened, words = cast("tuple[Opened, type[SourceContract]]", request.param)
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(opened())
        (tmp_path / "runrelay.yaml").write_text(file_of(place.options))
        table = load(tmp_path / "runrelay.yaml", {})
        queue = await stack.enter_async_context(RunQueue.connect(settings))
        wire = await stack.enter_async_context(running(create_app(table.sources, queue, settings=settings)))
        api = await stack.enter_async_context(asking(table.sources[SOURCE]))
        ledger = Ledger(redis, Keys(settings.namespace))
        runtime = Runtime(settings=settings, table=table, ledger=ledger, apis={SOURCE: api})
        yield Installation(place, words, wire, runtime, redis)


async def test_a_run_is_delivered_once_however_often_it_is_announced(installation: Installation) -> None:
    one, words = installation, installation.words
    one.place.puts("r1", one.runtime.table.sources[SOURCE].success)
    answers = [(await one.send(one.place.webhook("r1", words.ended))).json["status"] for _ in range(2)]
    assert answers == ["accepted", "duplicate"]
    assert len(await one.events()) == 1
    record = await one.planned()
    assert (record.state, record.source, record.run_id) == (EventState.PLANNED, SOURCE, "r1")
    await one.redis.zrem(one.runtime.ledger.keys.events, record.id)
    assert (await one.send(one.place.webhook("r1", words.ended, number=2))).json["status"] == "accepted"
    again = await one.planned()
    assert (again.state, again.deliveries) == (EventState.PLANNED, record.deliveries)
    assert len(await one.runtime.ledger.newest_deliveries(10)) == 1


async def test_nothing_is_kept_of_what_is_forged_or_tells_of_no_end(installation: Installation) -> None:
    one, words = installation, installation.words
    assert words.going_on
    forged = one.place.webhook("r1", words.ended, secret=STRANGE)
    nothing = Webhook(one.place.webhook("r1", words.ended).body, {})
    going_on = one.place.webhook("r1", words.going_on)
    assert [(await one.send(webhook)).status for webhook in (forged, nothing, going_on)] == [401, 401, 200]
    assert await one.events() == []


async def test_a_run_waits_until_it_is_there_and_has_ended(installation: Installation) -> None:
    one, words = installation, installation.words
    await one.send(one.place.webhook("r1", words.ended))
    early = await one.planned()
    assert (early.state, early.reason, early.attempt) == (EventState.ACCEPTED, "run_not_found", 1)
    assert await one.waits(early)
    one.place.puts("r1", words.under_way)
    under_way = await one.planned()
    assert (under_way.state, under_way.reason, under_way.attempt) == (EventState.ACCEPTED, "not_terminal", 1)
    assert await one.waits(under_way)
    one.place.puts("r1", one.runtime.table.sources[SOURCE].success)
    assert (await one.planned()).state is EventState.PLANNED


async def test_an_unpaid_source_waits_and_goes_on_by_itself(installation: Installation) -> None:
    one = installation
    one.place.puts("r1", one.runtime.table.sources[SOURCE].success)
    await one.send(one.place.webhook("r1", one.words.ended))
    one.place.refuses(402)
    for _ in range(6):
        waiting = await one.planned()
        seen = (waiting.state, waiting.reason, waiting.attempt)
        assert seen == (EventState.ACCEPTED, "source_unpaid", 0), "no try is lost"
        assert await one.waits(waiting)
        await one.a_minute_passes()
    one.place.answers()
    assert (await one.planned()).state is EventState.PLANNED

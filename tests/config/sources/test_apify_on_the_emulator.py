"""The Apify source against the emulator: two readings of one reference that must agree."""

import json

import pytest

from config.contracts.errors import NotFound, Transient
from emulator.scenarios import Answer, Fault
from tests.config.sources.platforms import ANY_RUN, Emulated


async def test_a_run_and_everything_it_left_is_read(emulator: Emulated) -> None:
    source, api = emulator.source, emulator.api
    run = await source.run(api, await emulator.finished_run({"a": 1}))
    assert (run.status, run.terminal, run.origin) == ("SUCCEEDED", True, "API")
    assert run.account == await source.account(api)
    assert await source.actor_name(api, run.actor_id) == "local/writer"
    assert await source.actor_name(api, "nobodyKnowsIt") == ""

    dataset, store = run.datasets["default"], run.stores["default"]
    page = await source.page(api, ANY_RUN, dataset, offset=5, limit=10, most=10_000)
    assert (page.count, page.scanned, page.total) == (10, 10, 25)
    assert [json.loads(line) for line in page.lines.splitlines()] == [{"n": n, "text": "å"} for n in range(5, 15)]
    past = await source.page(api, ANY_RUN, dataset, offset=25, limit=10, most=10_000)
    assert (past.lines, past.count, past.scanned, past.total) == (b"", 0, 0, 25)
    assert abs(past.at - run.finished) < 60
    assert (await source.count(api, ANY_RUN, dataset)).rows == 25

    first = await source.keys(api, ANY_RUN, store, after=None)
    assert (len(first.keys), first.count, first.after) == (1000, 1000, first.keys[-1].key)
    rest = await source.keys(api, ANY_RUN, store, after=first.after)
    assert (rest.count, rest.after) == (4, None)
    names = [key.key for key in (*first.keys, *rest.keys)]
    assert names == sorted(names)
    page_key = next(key for key in rest.keys if key.key == "page(1)")
    async with source.record(api, ANY_RUN, page_key) as document:
        body = b"".join([chunk async for chunk in document.chunks])
    assert (document.content_type, document.size, body) == ("text/html", len(body), b"<p>as it was</p>")

    tail = (await source.log_tail(api, run.id, 3)).splitlines()
    assert len(tail) == 3
    assert any(line.endswith(b"line 4") for line in tail)


async def test_a_run_nobody_knows_is_not_found(emulator: Emulated) -> None:
    with pytest.raises(NotFound):
        await emulator.source.run(emulator.api, "nobodyKnowsIt")


async def test_a_gateways_page_is_trouble_that_may_pass(emulator: Emulated) -> None:
    emulator.scenario.add(Fault("GET /v2/actor-runs/*", Answer(503, b"<html>", {"Retry-After": "60"})))
    with pytest.raises(Transient):
        await emulator.source.run(emulator.api, "anyRun")

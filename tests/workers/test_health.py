"""A worker's small door."""

import asyncio
import socket
import time

import pytest
from aiohttp import ClientSession

from workers import health
from workers.health import Pulse, health_server
from workers.metrics import PLANS


async def ask(url: str) -> tuple[int, object]:
    async with ClientSession() as session, session.get(f"{url}/healthz") as answer:
        return answer.status, await answer.json()


async def test_a_worker_that_keeps_up_is_well() -> None:
    async with health_server("127.0.0.1", 0) as url:
        assert await ask(url) == (200, {"status": "ok"})


async def test_a_loop_that_was_held_up_is_sick_until_it_keeps_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_LAG", 0.3)
    monkeypatch.setattr(health, "TICK", 0.2)
    async with health_server("127.0.0.1", 0) as url:
        await asyncio.sleep(0.25)
        asyncio.get_running_loop().call_soon(_block)
        status, body = await ask(url)
        assert status == 503
        assert isinstance(body, dict)
        assert body["kind"] == "internal_error"
        assert body["message"].startswith("the event loop lags ")
        while (await ask(url))[0] != 200:
            await asyncio.sleep(0.05)


def _block() -> None:
    """What no code of ours may do."""
    time.sleep(0.8)


class Loop:
    """A clock that a test moves."""

    now = 100.0

    def time(self) -> float:
        return self.now


async def test_the_lag_is_that_of_the_last_tick_or_of_the_one_that_is_late_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop()
    ticks: asyncio.Queue[None] = asyncio.Queue()

    async def tick(_: float) -> None:
        await ticks.get()

    async def passes(seconds: float) -> float:
        """One tick that came after so long, and the lag then."""
        loop.now += seconds
        ticks.put_nowait(None)
        while not ticks.empty():
            await real_sleep(0)
        await real_sleep(0)
        return pulse.lag

    real_sleep = asyncio.sleep
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "get_running_loop", lambda: loop)
        pulse = Pulse()
    monkeypatch.setattr(asyncio, "sleep", tick)
    beating = asyncio.ensure_future(pulse.beat())
    assert [await passes(seconds) for seconds in (1.0, 13.0, 1.5, 1.0)] == [0.0, 12.0, 0.5, 0.0]
    loop.now += 20
    assert pulse.lag == 19.0
    beating.cancel()


async def test_metrics_are_given_to_prometheus() -> None:
    PLANS.labels("apify", "planned").inc()
    async with health_server("127.0.0.1", 0) as url, ClientSession() as session:
        async with session.get(f"{url}/metrics") as answer:
            text = await answer.text()
            kind = answer.headers["Content-Type"]
        async with session.get(f"{url}/anything") as answer:
            assert answer.status == 404
    assert kind.startswith("text/plain; version=")
    assert 'outcome="planned"' in text


async def test_nothing_is_left_running_behind_it() -> None:
    before = asyncio.all_tasks()
    async with health_server("127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with health_server("127.0.0.1", 0) as url:
        with pytest.raises(OSError, match="address already in use"):
            async with health_server("127.0.0.1", int(url.rpartition(":")[2])):
                pass

"""Sinks that stay connected: shared, left after a while, and connected anew after trouble."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from pydantic import BaseModel
from redis.exceptions import RedisError

from config.contracts.errors import NotYet, Permanent, Transient, Unauthorized
from config.contracts.reasons import Reason
from config.contracts.sink import SinkModule, Surroundings
from config.route import SinkSpec
from workers.connections import Connections
from workers.progress import SliceOver
from workers.testing.shipments import around


class Config(BaseModel, frozen=True):
    url: str = "there"
    fails: bool = False
    hangs: bool = False
    clings: bool = False


class Place(ModuleType):
    """A sink's module that notes who comes and goes."""

    def __init__(self) -> None:
        super().__init__("place")
        self.log: list[str] = []

    @asynccontextmanager
    async def connect(self, config: Config, surroundings: Surroundings) -> AsyncIterator[Any]:
        self.log.append(f"connecting to {config.url}")
        task = asyncio.current_task()
        await asyncio.sleep(0)
        if config.fails:
            raise Transient(Reason.TARGET_UNAVAILABLE, "nobody there")
        await asyncio.sleep(3600 * config.hangs)
        yield object()
        await asyncio.sleep(3600 * config.clings)
        assert asyncio.current_task() is task, "what was entered in one task is left in the same"
        self.log.append(f"leaving {config.url}")


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def lent(tmp_path: Path) -> Surroundings:
    return around(tmp_path)


def spec(place: Place, **config: Any) -> SinkSpec:
    return SinkSpec("out", "place", Config(**config), cast(SinkModule, place))


async def test_deliveries_share_a_sink_at_the_same_time_and_one_after_the_other(
    place: Place, lent: Surroundings
) -> None:
    connections = Connections()
    async with connections.use(spec(place), lent) as one, connections.use(spec(place), lent) as other:
        assert one is other
    async with connections.use(spec(place), lent) as later:
        assert later is one
    assert place.log == ["connecting to there"]
    await connections.close()
    assert place.log == ["connecting to there", "leaving there"]


async def test_other_options_are_another_sink(place: Place, lent: Surroundings) -> None:
    connections = Connections()
    async with connections.use(spec(place), lent) as one, connections.use(spec(place, url="elsewhere"), lent) as other:
        assert one is not other
    await connections.close()


async def test_what_nobody_uses_is_left_after_a_while(place: Place, lent: Surroundings) -> None:
    connections = Connections(idle=0.02)
    async with connections.use(spec(place), lent):
        await asyncio.sleep(0.05)
        assert place.log == ["connecting to there"]
    while len(place.log) < 2:
        await asyncio.sleep(0.005)
    assert place.log == ["connecting to there", "leaving there"]
    async with connections.use(spec(place), lent):
        assert place.log[2:] == ["connecting to there"]
    await connections.close()


@pytest.mark.parametrize(
    "error", [Unauthorized(Reason.TOKEN_REFUSED), KeyError("a bug"), asyncio.CancelledError()], ids=repr
)
async def test_what_may_be_broken_is_given_to_nobody_new(
    place: Place, lent: Surroundings, error: BaseException
) -> None:
    connections = Connections()
    async with connections.use(spec(place), lent) as shared:
        with pytest.raises(type(error)):
            async with connections.use(spec(place), lent):
                raise error
        async with connections.use(spec(place), lent) as fresh:
            assert fresh is not shared
        assert "leaving there" not in place.log, "somebody still works with it"
    await connections.close()
    await asyncio.sleep(0)
    assert sorted(place.log) == ["connecting to there"] * 2 + ["leaving there"] * 2


async def test_after_trouble_it_is_connected_anew_once_nobody_uses_it(place: Place, lent: Surroundings) -> None:
    """A server in trouble is not burdened with more connections."""
    connections = Connections()
    async with connections.use(spec(place), lent) as shared:
        for _ in range(3):
            with pytest.raises(Transient):
                async with connections.use(spec(place), lent):
                    raise Transient(Reason.TARGET_UNAVAILABLE)
        async with connections.use(spec(place), lent) as still:
            assert still is shared
    async with connections.use(spec(place), lent) as fresh:
        assert fresh is not shared
    await connections.close()
    assert sorted(place.log) == ["connecting to there"] * 2 + ["leaving there"] * 2


@pytest.mark.parametrize(
    "error",
    [
        SliceOver(),
        NotYet(Reason.PACED, wait=1),
        Permanent(Reason.ITEM_REFUSED),
        Transient(Reason.SOURCE_UNAVAILABLE),
        Unauthorized(Reason.SOURCE_TOKEN_REFUSED),
        RedisError(),
    ],
    ids=repr,
)
async def test_what_is_no_trouble_of_its_own_keeps_it(place: Place, lent: Surroundings, error: Exception) -> None:
    connections = Connections()
    with pytest.raises(type(error)):
        async with connections.use(spec(place), lent):
            raise error
    async with connections.use(spec(place), lent):
        assert place.log == ["connecting to there"]
    await connections.close()


async def test_who_gives_up_connecting_leaves_nothing_behind(place: Place, lent: Surroundings) -> None:
    connections = Connections()
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), connections.use(spec(place, hangs=True), lent):
            pass
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_sink_that_hangs_at_its_farewell_is_left_alone(
    place: Place, lent: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.connections.FAREWELL", 0.01)
    connections = Connections()
    async with connections.use(spec(place, clings=True), lent):
        pass
    await connections.close()
    assert place.log == ["connecting to there"]


async def test_everybody_hears_why_it_could_not_be_connected(place: Place, lent: Surroundings) -> None:
    connections = Connections()

    async def work() -> None:
        async with connections.use(spec(place, fails=True), lent):
            pass

    for found in await asyncio.gather(work(), work(), return_exceptions=True):
        assert str(found) == "target_unavailable: nobody there"
    with pytest.raises(Transient):
        await work()
    assert place.log == ["connecting to there"] * 2, "once for the two, and once more"

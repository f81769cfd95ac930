"""Names and accounts are asked for once an hour."""

import time
from dataclasses import dataclass, field
from typing import cast

import pytest

from config.contracts.errors import Unauthorized
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import Api, Source
from workers import names as module
from workers.names import Names

API = cast(Api, None)


@dataclass
class Platform:
    """`account`, `actor_name` and `task_name` of a source. `asked`: every question."""

    name: str = "apify"
    refuses: bool = False
    asked: list[str] = field(default_factory=list)

    def _answer(self, question: str) -> str:
        self.asked.append(question)
        if self.refuses:
            raise Unauthorized(Reason.SOURCE_TOKEN_REFUSED)
        return f"{self.name} {question}"

    async def account(self, api: Api, /) -> str:
        return self._answer("account")

    async def actor_name(self, api: Api, actor_id: str, /) -> str:
        return self._answer(f"actor {actor_id}")

    async def task_name(self, api: Api, task_id: str, /) -> str:
        return self._answer(f"task {task_id}") if task_id else ""

    @property
    def source(self) -> Source:
        return cast(Source, self)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def run(actor: str = "a1", task: str = "") -> Run:
    return Run(
        id="r",
        source="apify",
        status="SUCCEEDED",
        terminal=True,
        life="l",
        finished=1.0,
        account="u",
        actor_id=actor,
        task_id=task,
    )


async def test_a_run_gets_its_names_and_keeps_the_rest() -> None:
    platform = Platform()
    named = await Names().named(platform.source, API, run(task="t1"))
    assert (named.actor, named.task) == ("apify actor a1", "apify task t1")
    assert (named.id, named.actor_id, named.task_id, named.account) == ("r", "a1", "t1", "u")


async def test_each_is_asked_for_once_an_hour(clock: Clock) -> None:
    platform, names = Platform(), Names()
    for _ in range(3):
        await names.named(platform.source, API, run(task="t1"))
        assert await names.account(platform.source, API) == "apify account"
        clock.now += 1199.0
    assert platform.asked == ["actor a1", "task t1", "account"]
    clock.now += 3.0
    await names.named(platform.source, API, run(task="t1"))
    await names.account(platform.source, API)
    assert platform.asked == ["actor a1", "task t1", "account"] * 2


async def test_accounts_do_not_share_their_names() -> None:
    one, other, names = Platform("one"), Platform("other"), Names()
    assert await names.account(one.source, API) == "one account"
    assert await names.account(other.source, API) == "other account"
    assert (await names.named(other.source, API, run())).actor == "other actor a1"
    assert (await names.named(one.source, API, run())).actor == "one actor a1"


async def test_a_refusal_is_not_remembered() -> None:
    platform, names = Platform(refuses=True), Names()
    with pytest.raises(Unauthorized):
        await names.account(platform.source, API)
    platform.refuses = False
    assert await names.account(platform.source, API) == "apify account"


async def test_what_was_asked_for_again_is_not_the_oldest(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    platform, names = Platform(), Names()
    await names.account(platform.source, API)
    await names.named(platform.source, API, run("a1", "t"))
    clock.now += 3601.0
    await names.account(platform.source, API)
    await names.named(platform.source, API, run("a2", "t"))
    platform.asked.clear()
    await names.account(platform.source, API)
    assert platform.asked == []


async def test_memory_is_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    platform, names = Platform(), Names()
    await names.account(platform.source, API)
    for actor in ("a1", "a2", "a3"):
        await names.named(platform.source, API, run(actor, "t"))
    platform.asked.clear()
    await names.named(platform.source, API, run("a3", "t"))
    await names.account(platform.source, API)
    assert platform.asked == ["account"]

"""The ended runs of an account, and when to look for them."""

import pytest
from pydantic import ValidationError

from config.contracts.errors import NotFound, Transient
from config.contracts.source import Listing, Reconcile
from config.sources.apify import Config, connect
from tests.config.sources.platforms import Emulated, Scripted

SHORT = {"actId": "act1", "userId": "me", "meta": {"origin": "API"}, "startedAt": "2026-11-22T09:00:00.000Z"}

END = "2026-11-22T13:00:00.000Z"


async def listed(platform: Scripted, started_after: float = 1795348800.5) -> list[tuple[str, str, str, float]]:
    """(id, status, life, finished) of each."""
    runs = platform.source.ended_runs(platform.api, started_after=started_after)
    return [(run.id, run.status, run.life, run.finished) async for run in runs]


async def test_they_are_asked_for_by_status_and_start_and_told_in_our_words(platform: Scripted) -> None:
    run = {"id": "r1", "status": "TIMED-OUT", "finishedAt": "2026-11-22T12:00:01.250Z", **SHORT}
    platform.says("?offset=0", {"data": {"items": [run]}})
    platform.says("?offset=1", {"data": {"items": []}})
    assert await listed(platform) == [("r1", "TIMED-OUT", "2026-11-22T12:00:01.250Z", 1795348801.25)]
    assert [one.split("&limit=")[0] for one in platform.asked] == [
        "GET /v2/actor-runs?status=ABORTED,FAILED,SUCCEEDED,TIMED-OUT&startedAfter=2026-11-22T12:00:00.500Z&desc=true"
    ] * 2


async def test_those_of_one_actor_are_asked_for_by_its_name(platform: Scripted) -> None:
    platform.says("/acts/acme~shop/runs", {"data": {"items": []}})
    assert [run async for run in platform.source.ended_runs(platform.api, started_after=0.0, actor="acme/shop")] == []
    with pytest.raises(NotFound):
        _ = [run async for run in platform.source.ended_runs(platform.api, started_after=0.0, actor="acme/other")]


async def test_those_of_one_task_are_followed_to_the_first_that_began_too_early(platform: Scripted) -> None:
    """Its list knows no dates."""
    runs = [
        {
            **SHORT,
            "id": f"r{hour}",
            "status": "FAILED",
            "startedAt": f"2026-11-22T{hour:02}:00:00.000Z",
            "finishedAt": END,
        }
        for hour in (12, 11, 10)
    ]
    platform.says("/actor-tasks/acme~nightly/runs", {"data": {"items": runs}})
    since = platform.source.ended_runs(platform.api, started_after=1795345200.0, task="acme/nightly")
    assert [run.id async for run in since] == ["r12", "r11"]
    assert len(platform.asked) == 1


async def test_the_life_in_a_list_is_the_life_of_the_run(emulator: Emulated) -> None:
    run = await emulator.source.run(emulator.api, await emulator.finished_run({}))
    found = [one async for one in emulator.source.ended_runs(emulator.api, started_after=run.finished - 3600)]
    assert [(one.id, one.life, one.finished) for one in found] == [(run.id, run.life, run.finished)]
    assert [one async for one in emulator.source.ended_runs(emulator.api, started_after=run.finished + 1)] == []


async def test_a_list_of_another_shape_is_trouble_that_may_pass(platform: Scripted) -> None:
    platform.says("/actor-runs", {"data": {"items": [{"status": "SUCCEEDED"}]}})
    with pytest.raises(Transient):
        await listed(platform)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, None),
        ({"reconcile": {}}, Reconcile(every=900.0, lookback=259200.0, announced=False)),
        (
            {"reconcile": {"every": "5m", "lookback": "1d"}, "webhook": {"secrets": ["s"]}},
            Reconcile(every=300.0, lookback=86400.0),
        ),
    ],
)
def test_the_file_says_whether_and_how_often_to_look(written: dict[str, object], expected: Reconcile | None) -> None:
    source = connect("apify", Config.model_validate({"token": "t", **written}))
    assert isinstance(source, Listing)
    assert source.reconcile == expected


@pytest.mark.parametrize("wrong", [{"every": "0"}, {"every": "500ms"}, {"lookback": "1s"}, {"lookback": "31d"}])
def test_looking_all_the_time_or_too_far_back_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"token": "t", "reconcile": wrong})

"""Webhooks that never come: their runs are found all the same, and delivered once."""

from pathlib import Path

import pytest

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from config.settings import Settings
from emulator.scenarios import Fault, Lose, Scenario
from tests.end_to_end.far_side import far_side
from tests.end_to_end.installation import SECRET, Installation, installation
from tests.end_to_end.test_troubles import FILE, lines, to_crm
from workers.care import reconciler

OFTEN = "{every: 1s, lookback: 1h}"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two minutes of patience, no minute between two questions."""
    monkeypatch.setattr(reconciler, "GRACE", 0.0)
    monkeypatch.setattr(reconciler, "LONGEST", 0.1)


async def announce(place: Installation, run_id: str) -> None:
    """The webhook of a run, late."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    body = {"eventType": "ACTOR.RUN.SUCCEEDED", "resource": {"id": run_id}}
    async with place.http.post(f"{place.door}/webhooks/apify", json=body, headers=headers) as response:
        assert (response.status, (await response.json())["status"]) == (200, "accepted")


async def unannounced(place: Installation, items: int) -> str:
    """The id of a run without any webhook."""
    run = await place.api("POST", "/v2/acts/local~pusher/runs", json={"items": items})
    return str(run["id"])


async def test_runs_whose_webhooks_are_lost_are_delivered_once_though_they_come_late(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    lost = Scenario()
    lost.add(*(Fault("WEBHOOK ACTOR.RUN.*", Lose()) for _ in range(4)))
    async with (
        far_side() as side,
        installation(settings, tmp_path, to_crm(side), actors, scenario=lost, reconcile=OFTEN) as place,
    ):
        runs = [(await place.start("local~pusher", {"row": {"of": n}, "items": 25}))["id"] for n in range(4)]
        before = [await place.finished(run) for run in runs]
        assert [[event.via for event in events] for events, _ in before] == [["reconcile"]] * 4
        requests = len(side.requests)
        for run in runs:
            await announce(place, run)
        after = [await place.finished(run, count=2) for run in runs]
    for (_, deliveries), (events, still) in zip(before, after, strict=True):
        assert [one.delivery.id for one in still] == [one.delivery.id for one in deliveries]
        assert [one.state for one in still] == [DeliveryState.DELIVERED]
        assert [(event.state, event.deliveries) for event in events] == [
            (EventState.PLANNED, (still[0].delivery.id,))
        ] * 2
    assert len(side.requests) == requests == 4
    assert sorted(item["of"] for item in side.items) == [n for n in range(4) for _ in range(25)]


async def test_a_run_that_was_announced_is_not_found(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with installation(settings, tmp_path, FILE, actors, reconcile=OFTEN) as place:
        announced = (await place.start("local~pusher", {"items": 2}))["id"]
        await place.finished(announced)
        other = await unannounced(place, 3)
        await place.finished(other)
        events, _ = await place.finished(announced)
    assert [event.via for event in events] == ["webhook"]
    assert lines(tmp_path, announced) == [0, 1]
    assert lines(tmp_path, other) == [0, 1, 2]


async def test_each_finish_of_a_run_is_found(settings: Settings, tmp_path: Path, actors: Path) -> None:
    async with (
        far_side() as side,
        installation(settings, tmp_path, to_crm(side), actors, reconcile=OFTEN) as place,
    ):
        run = await unannounced(place, 10)
        await place.finished(run)
        await place.api("POST", f"/v2/actor-runs/{run}/resurrect")
        events, deliveries = await place.finished(run, count=2)
    assert [event.via for event in events] == ["reconcile", "reconcile"]
    assert len({one.delivery.life for one in deliveries}) == 2
    assert [item["n"] for item in side.items] == list(range(20))

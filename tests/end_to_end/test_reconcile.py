"""Webhooks that never come: their runs are found all the same, and delivered once."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from config.contracts.delivery import DeliveryState
from config.contracts.event import EventState
from config.settings import Settings
from emulator.scenarios import Answer, Fault, Lose, Scenario
from tests.end_to_end.far_side import FarSide, far_side
from tests.end_to_end.installation import SECRET, Installation, eventually, installation
from tests.end_to_end.test_troubles import FILE, lines, to_crm
from tests.workers.sinks.database import Database
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


EVERYWHERE = """\
sinks:
  crm: {{type: http, url: "{url}"}}
  disk: {{type: file, base: "{{folder}}/results"}}
  books: {{type: sqlite, path: "{{folder}}/runs.db"}}
routes:
  - name: all
    when: {{}}
    to: [{{sink: crm}}, {{sink: disk, path: "{{{{ run.id }}}}.jsonl"}}, {{sink: books, table: results}}]
"""
#: At this pace the platform's hour takes 3.6 s, and so do its webhook retries within the hour.
PACE = 0.001
HOUR = 3600 * PACE


async def test_a_receiver_that_was_down_for_an_hour_has_missed_nothing_and_doubles_nothing(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    """Nobody listens where the webhooks go. The platform tries them again and again, and gets through in the end."""
    async with (
        far_side() as side,
        installation(settings, tmp_path, EVERYWHERE.format(url=side.url), actors, reconcile=OFTEN, clock=PACE) as place,
    ):
        door, place.door = place.door, f"http://127.0.0.1:{free_port()}"
        began = asyncio.get_running_loop().time()
        runs = [(await place.start("local~pusher", {"items": 5}))["id"] for _ in range(3)]
        before = [await place.finished(run) for run in runs]
        assert [[event.via for event in events] for events, _ in before] == [["reconcile"]] * 3
        assert {one.state for _, deliveries in before for one in deliveries} == {DeliveryState.DELIVERED}
        held = everywhere(tmp_path, side, runs)
        await asyncio.sleep(max(0.0, began + HOUR - asyncio.get_running_loop().time()))
        tries = await dispatches(place, runs)
        assert {(one["status"], call["responseStatus"]) for one in tries for call in one["calls"]} == {("ACTIVE", None)}
        assert min(len(one["calls"]) for one in tries) >= 6
        async with gate(place.door, door):
            after = [await place.finished(run, count=2) for run in runs]
            await eventually(lambda: all_through(place, runs))
    assert [sorted(event.via for event in events) for events, _ in after] == [["reconcile", "webhook"]] * 3
    for (_, deliveries), (events, still) in zip(before, after, strict=True):
        assert {one.delivery.id for one in still} == {one.delivery.id for one in deliveries}
        assert {event.state for event in events} == {EventState.PLANNED}
    assert everywhere(tmp_path, side, runs) == held
    assert held == (
        [list(range(5))] * 3,
        [(run, n) for run in sorted(runs) for n in range(5)],
        sorted(n for n in range(5) for _ in range(3)),
        3,
    )


def everywhere(folder: Path, side: FarSide, runs: list[str]) -> tuple[object, ...]:
    """What files, table and HTTP receiver hold, and how many requests that took."""
    rows = Database(folder / "runs.db").rows("SELECT _run_id, n FROM results ORDER BY _run_id, _item")
    return [lines(folder, run) for run in runs], rows, sorted(item["n"] for item in side.items), len(side.requests)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def dispatches(place: Installation, runs: list[str]) -> list[dict[str, Any]]:
    """What the platform says of its announcements of these runs."""
    listed = await place.api("GET", "/v2/webhook-dispatches")
    of = [one for one in listed["items"] if (one["eventData"] or {}).get("actorRunId") in runs]
    return [await place.api("GET", f"/v2/webhook-dispatches/{one['id']}") for one in of]


async def all_through(place: Installation, runs: list[str]) -> bool | None:
    return {one["status"] for one in await dispatches(place, runs)} == {"SUCCEEDED"} or None


@asynccontextmanager
async def gate(front: str, door: str) -> AsyncIterator[None]:
    """The receiver is back: whoever connects to `front` is led to it."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further = await asyncio.open_connection("127.0.0.1", urlsplit(door).port)
        await asyncio.gather(copy(reader, further[1]), copy(further[0], writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(lead, "127.0.0.1", urlsplit(front).port)
    try:
        yield
    finally:
        server.close()


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


async def test_a_run_that_began_too_long_ago_to_be_listed_is_found_by_its_dispatch(
    settings: Settings, tmp_path: Path, actors: Path
) -> None:
    unlisted = Fault("GET /v2/actor-runs", Answer(200, b'{"data": {"items": []}}'), times=10_000)
    lost = Scenario([unlisted, Fault("WEBHOOK ACTOR.RUN.*", Lose())])
    async with installation(settings, tmp_path, FILE, actors, scenario=lost, reconcile=OFTEN) as place:
        run = (await place.start("local~pusher", {"items": 3}))["id"]
        (event,), (one,) = await place.finished(run)
    assert (event.via, one.state) == ("reconcile", DeliveryState.DELIVERED)
    assert lines(tmp_path, run) == [0, 1, 2]

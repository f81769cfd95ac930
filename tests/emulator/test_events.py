"""The events websocket: who may listen, and what a running Actor hears on it."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from emulator.vitals import Vitals
from tests.emulator.conftest import Emulator, StartEmulator, WriteActor


@pytest.fixture
async def running(start_emulator: StartEmulator, write_actor: WriteActor) -> tuple[Emulator, dict[str, Any], str]:
    """An emulator, a run that sleeps, and the address of its websocket."""
    write_actor("sleepy", "print(os.environ['ACTOR_EVENTS_WEBSOCKET_URL'], flush=True)\ntime.sleep(60)")
    emulator = await start_emulator(clock_factor=0.02)
    run = await emulator.start("sleepy")
    await emulator.until(run, "ws://")
    log = (await emulator.get(f"/v2/logs/{run['id']}")).body.decode()
    return emulator, run, "ws://" + log.partition("ws://")[2].split()[0]


async def next_of(socket: ClientConnection, *names: str) -> dict[str, Any]:
    """The next event with one of these names."""
    while True:
        event: dict[str, Any] = json.loads(await socket.recv())
        if event["name"] in names:
            return event


async def test_an_actor_hears_what_it_uses_every_so_often(running: tuple[Emulator, dict[str, Any], str]) -> None:
    _, run, url = running
    async with connect(url) as socket:
        for _ in range(2):
            event = await next_of(socket, "systemInfo")
            data = event["data"]
            assert event.keys() == {"name", "createdAt", "data"}
            assert data.keys() == {
                *("memAvgBytes", "memCurrentBytes", "memMaxBytes", "cpuAvgUsage", "cpuMaxUsage", "cpuCurrentUsage"),
                *("isCpuOverloaded", "createdAt"),
            }
            assert data["memMaxBytes"] >= data["memCurrentBytes"] > 0
            assert 0 <= data["cpuCurrentUsage"] <= 100 * run["options"]["memoryMbytes"] / 4096


async def test_a_graceful_abort_is_told_and_the_end_closes_the_socket(
    running: tuple[Emulator, dict[str, Any], str],
) -> None:
    emulator, run, url = running
    async with connect(url) as socket:
        await emulator.post(f"/v2/actor-runs/{run['id']}/abort?gracefully=1")

        aborting = await next_of(socket, "aborting", "persistState")
        persist = await next_of(socket, "aborting", "persistState")
        with pytest.raises(ConnectionClosed):
            await next_of(socket, "never")

    assert (aborting["name"], set(aborting)) == ("aborting", {"name", "createdAt"})
    assert (persist["name"], persist["data"]) == ("persistState", {"isMigrating": False})
    assert socket.close_code == 1000
    assert (await emulator.finish(run))["status"] == "ABORTED"


async def test_a_migration_is_announced_and_starts_the_process_anew(
    running: tuple[Emulator, dict[str, Any], str],
) -> None:
    emulator, run, url = running
    async with connect(url) as socket:
        moved = await emulator.post(f"/emulator/runs/{run['id']}/migrate")
        migrating = await next_of(socket, "migrating")
        while (await emulator.get(f"/v2/logs/{run['id']}")).body.count(url.encode()) < 2:
            await asyncio.sleep(0.01)

    assert migrating["data"] == {"timeRemainingSecs": 1.2}
    assert (moved.data["status"], moved.data["stats"]["migrationCount"]) == ("RUNNING", 1)
    await emulator.post(f"/v2/actor-runs/{run['id']}/abort")
    await emulator.finish(run)
    again = await emulator.post(f"/emulator/runs/{run['id']}/migrate")
    assert again.error == (400, "invalid-request")


async def test_an_actor_that_reboots_by_itself_is_not_started_twice(
    running: tuple[Emulator, dict[str, Any], str],
) -> None:
    emulator, run, _ = running
    await emulator.post(f"/emulator/runs/{run['id']}/migrate")
    await emulator.post(f"/v2/actor-runs/{run['id']}/reboot")
    await emulator.until(run, "rebooted")

    await asyncio.sleep(1.5)  # longer than the notice

    assert (await emulator.get(f"/v2/logs/{run['id']}")).body.count(b"Creating process") == 2


async def sent_away(url: str) -> int | None:
    """The close code of a socket on which nothing is said."""
    async with connect(url) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    return socket.close_code


async def test_strangers_and_ended_runs_are_sent_away_for_good(running: tuple[Emulator, dict[str, Any], str]) -> None:
    emulator, run, url = running

    assert await sent_away(url.replace(run["id"], "x" * 17)) == 1008
    assert await sent_away(url.rsplit("/", 1)[0] + "/guessed") == 1008
    await emulator.post(f"/v2/actor-runs/{run['id']}/abort")
    await emulator.finish(run)
    assert await sent_away(url) == 1008


async def test_a_run_has_room_for_some_listeners_and_those_that_left_make_room(
    running: tuple[Emulator, dict[str, Any], str],
) -> None:
    _, _, url = running
    sockets = [await connect(url) for _ in range(8)]
    async with connect(url) as ninth:
        with pytest.raises(ConnectionClosed):
            await next_of(ninth, "systemInfo")
    assert ninth.close_code == 1008

    for socket in sockets:
        await socket.close()
    async with asyncio.timeout(30):
        while True:
            async with connect(url) as again:
                try:
                    await next_of(again, "systemInfo")
                    break
                except ConnectionClosed:
                    continue


async def test_what_an_actor_sends_is_not_minded(running: tuple[Emulator, dict[str, Any], str]) -> None:
    _, _, url = running
    async with connect(url) as socket:
        await socket.send("hello")
        await socket.send(b"\x00")
        assert (await next_of(socket, "systemInfo"))["name"] == "systemInfo"


def test_a_process_group_that_is_gone_has_no_vitals() -> None:
    assert Vitals(2**22 + 1, 1.0).system_info() is None

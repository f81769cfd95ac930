"""Runs of scripted Actors: a platform acted out without a process."""

from pathlib import Path
from typing import Any

import pytest

from emulator.settings import EmulatorError
from tests.emulator.conftest import Listener, StartEmulator
from tests.emulator.scripted import write_script
from tests.emulator.test_lives import hooks, running


@pytest.mark.parametrize(
    ("script", "status", "code", "event"),
    [
        ({}, "SUCCEEDED", 0, "SUCCEEDED"),
        ({"status": "SUCCEEDED", "exit_code": 0}, "SUCCEEDED", 0, "SUCCEEDED"),
        ({"exit_code": 9}, "FAILED", 9, "FAILED"),
        ({"status": "FAILED"}, "FAILED", 1, "FAILED"),
        ({"status": "TIMED-OUT"}, "TIMED-OUT", 1, "TIMED_OUT"),
        ({"status": "ABORTED", "exit_code": 137}, "ABORTED", 137, "ABORTED"),
        ({"status": "FROZEN"}, "FROZEN", 1, "FAILED"),
        ({"status": "BLESSED", "exit_code": 0}, "BLESSED", 0, "SUCCEEDED"),
    ],
)
async def test_a_script_ends_as_it_says(
    start_emulator: StartEmulator,
    actors: Path,
    listener: Listener,
    script: dict[str, Any],
    status: str,
    code: int,
    event: str,
) -> None:
    write_script(actors, "player", **script)
    emulator = await start_emulator()

    query = hooks(listener.url, "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
    run = await emulator.start("player", query)
    [(_, body)] = await listener.wait_for(1)

    assert (body["eventType"], body["resource"]["status"]) == (f"ACTOR.RUN.{event}", status)
    assert (body["resource"]["id"], body["resource"]["exitCode"]) == (run["id"], code)


async def test_a_script_leaves_what_it_says(start_emulator: StartEmulator, actors: Path) -> None:
    write_script(
        actors,
        "player",
        status_message="All read",
        log=["first", "second"],
        items=[{"n": 1}, {}, {"#hidden": 1, "n": 2}],
        records={"OUTPUT": {"pages": 2}, "NOTE": "plain", "NULL": None},
        requests=["http://one.example/", {"url": "http://two.example/", "uniqueKey": "two", "retryCount": 3}],
    )
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("player"))

    root = f"/v2/actor-runs/{run['id']}"
    assert (run["status"], run["statusMessage"]) == ("SUCCEEDED", "All read")
    assert (await emulator.get(f"{root}/dataset/items")).json == [{"n": 1}, {}, {"#hidden": 1, "n": 2}]
    dataset = (await emulator.get(f"{root}/dataset")).data
    assert (dataset["itemCount"], dataset["cleanItemCount"]) == (3, 2)
    records = f"{root}/key-value-store/records"
    assert (await emulator.get(f"{records}/OUTPUT")).json == {"pages": 2}
    note = await emulator.get(f"{records}/NOTE")
    assert (note.body, note.headers["Content-Type"]) == (b"plain", "text/plain; charset=utf-8")
    assert (await emulator.get(f"{records}/NULL")).body == b"null"
    requests = (await emulator.get(f"{root}/request-queue/head")).data["items"]
    assert [(request["url"], request["retryCount"]) for request in requests] == [
        ("http://one.example/", 0),
        ("http://two.example/", 3),
    ]
    lines = (await emulator.get(f"{root}/log")).body.decode().splitlines()
    assert [line.split(" ", 1)[1] for line in lines][-3:] == ["first", "second", "ACTOR: All read"]


async def test_millions_of_rows_are_made_up_and_not_kept(start_emulator: StartEmulator, actors: Path) -> None:
    write_script(actors, "miner", rows=5_000_000, item={"kind": "ore"})
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("miner"))
    again = await emulator.finish((await emulator.post(f"/v2/actor-runs/{run['id']}/resurrect")).data)

    page = await emulator.get(f"/v2/datasets/{run['defaultDatasetId']}/items?offset=4999998")
    assert (run["status"], again["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert [row["kind"] for row in page.json] == ["ore", "ore"]
    assert (await emulator.get(f"/v2/datasets/{run['defaultDatasetId']}")).data["itemCount"] == 5_000_000


async def test_a_script_is_aborted_timed_out_and_takes_its_time(start_emulator: StartEmulator, actors: Path) -> None:
    write_script(actors, "endless", duration="1h")
    write_script(actors, "short", duration="50ms")
    emulator = await start_emulator()
    aborted, late = await emulator.start("endless"), await emulator.start("endless", "timeout=1")
    short = await emulator.finish(await emulator.start("short"))
    await running(emulator, aborted)

    await emulator.post(f"/v2/actor-runs/{aborted['id']}/abort?gracefully=1")

    assert [(run["status"], run["exitCode"]) for run in [await emulator.finish(run) for run in (aborted, late)]] == [
        ("ABORTED", 137),
        ("TIMED-OUT", 137),
    ]
    assert short["stats"]["durationMillis"] >= 50


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ({"duration": "soon"}, "soon"),
        ({"status": ""}, "script.status"),
        ({"rows": -1}, "script.rows"),
        ({"items": [], "colour": "red"}, "colour"),
        ({"rows": 5, "items": [{}]}, "items or rows"),
    ],
)
async def test_a_script_that_cannot_be_meant_stops_the_start(
    start_emulator: StartEmulator, actors: Path, script: dict[str, Any], said: str
) -> None:
    write_script(actors, "bad", **script)

    with pytest.raises(EmulatorError, match=f"(?s)actor.yaml.*{said}"):
        await start_emulator()

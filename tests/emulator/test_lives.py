"""What can happen to a run on its way: reboots, metamorphs, and the death of the emulator itself."""

import asyncio
import base64
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.conftest import Emulator, Listener, StartEmulator, WriteActor
from tests.emulator.scripted import write_script

ROOT = Path(__file__).parents[2]
SERVE = """
import asyncio, sys
from pathlib import Path
from emulator.serve import serve
from emulator.settings import EmulatorSettings
settings = EmulatorSettings(data=Path(sys.argv[1]), actors=(Path(sys.argv[2]),))
asyncio.run(serve(settings, "127.0.0.1", 0, ready=lambda url: print(url, flush=True)))
"""


async def running(emulator: Emulator, run: dict[str, Any]) -> None:
    while (await emulator.get(f"/v2/actor-runs/{run['id']}")).data["status"] != "RUNNING":
        await asyncio.sleep(0.005)


def hooks(url: str, *events: str) -> str:
    hook = [{"eventTypes": [f"ACTOR.RUN.{event}" for event in events], "requestUrl": url}]
    return "webhooks=" + base64.urlsafe_b64encode(json.dumps(hook).encode()).decode()


async def test_a_reboot_starts_the_process_again_on_the_same_storages(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("stubborn", "push([{'pid': os.getpid()}])\nprint('awake', flush=True)\ntime.sleep(60)")
    emulator = await start_emulator()
    run = await emulator.start("stubborn")
    items = f"/v2/datasets/{run['defaultDatasetId']}/items"
    await emulator.until(run, "awake")

    rebooted = (await emulator.post(f"/v2/actor-runs/{run['id']}/reboot")).data
    while len((await emulator.get(items)).json) < 2:
        await asyncio.sleep(0.01)
    await emulator.post(f"/v2/actor-runs/{run['id']}/abort")
    ended = await emulator.finish(run)

    first, second = (await emulator.get(items)).json
    assert first != second
    assert (rebooted["status"], rebooted["stats"]["rebootCount"]) == ("RUNNING", 1)
    assert (ended["status"], ended["stats"]["rebootCount"], ended["stats"]["restartCount"]) == ("ABORTED", 1, 0)


async def test_a_metamorph_goes_on_as_another_actor_with_its_own_input(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("caterpillar", "print('awake', flush=True)\ntime.sleep(60)")
    write_actor(
        "butterfly",
        "record('OUTPUT', json.dumps({name: os.environ.get(name) for name in"
        " ('ACTOR_ID', 'ACTOR_FULL_NAME', 'ACTOR_INPUT_KEY', 'ACTOR_RUN_ID')}).encode(), 'application/json')",
        input={"properties": {"wings": {"type": "integer", "default": 4}}},
    )
    emulator = await start_emulator()
    run = await emulator.start("caterpillar", "", {"legs": 16})
    await emulator.until(run, "awake")
    path = f"/v2/actor-runs/{run['id']}"

    answer = await emulator.post(f"{path}/metamorph?targetActorId=local~butterfly&build=latest", {"colour": "blue"})
    ended = await emulator.finish(run)

    target = (await emulator.get("/v2/actors/local~butterfly")).data["id"]
    [one] = ended["metamorphs"]
    assert (answer.status, ended["status"], ended["actId"]) == (200, "SUCCEEDED", run["actId"])
    assert (one["actorId"], one["inputKey"], ended["stats"]["metamorph"]) == (target, "INPUT-METAMORPH-1", 1)
    records = f"{path}/key-value-store/records"
    assert (await emulator.get(f"{records}/INPUT-METAMORPH-1")).json == {"colour": "blue", "wings": 4}
    assert (await emulator.get(f"{records}/OUTPUT")).json == {
        "ACTOR_ID": target,
        "ACTOR_FULL_NAME": "local/butterfly",
        "ACTOR_INPUT_KEY": "INPUT-METAMORPH-1",
        "ACTOR_RUN_ID": run["id"],
    }
    again = (await emulator.post(f"{path}/resurrect")).data
    assert (await emulator.finish(again))["status"] == "SUCCEEDED"  # as the butterfly it has become


async def test_ten_metamorphs_are_the_most(start_emulator: StartEmulator, actors: Path) -> None:
    write_script(actors, "endless", duration="1h")
    emulator = await start_emulator()
    run = await emulator.start("endless")
    path = f"/v2/actor-runs/{run['id']}/metamorph?targetActorId=local~endless"
    await running(emulator, run)

    for _ in range(10):
        assert (await emulator.post(path, {})).status == 200

    assert (await emulator.post(path, {})).error == (400, "max-metamorphs-exceeded")
    now = (await emulator.get(f"/v2/actor-runs/{run['id']}")).data
    assert [one["inputKey"] for one in now["metamorphs"]] == [f"INPUT-METAMORPH-{n}" for n in range(1, 11)]


async def test_only_running_runs_reboot_or_metamorph(start_emulator: StartEmulator, actors: Path) -> None:
    write_script(actors, "quick", {"input": {"required": ["a"], "properties": {"a": {"type": "string"}}}})
    emulator = await start_emulator()
    run = await emulator.finish(await emulator.start("quick", "", {"a": "x"}))
    path = f"/v2/actor-runs/{run['id']}"

    assert (await emulator.post(f"{path}/reboot")).error == (400, "invalid-request")
    assert (await emulator.post(f"{path}/metamorph?targetActorId=local~quick", {"a": "x"})).error == (
        400,
        "invalid-request",
    )
    assert (await emulator.post(f"{path}/metamorph", {})).error == (400, "invalid-value")
    assert (await emulator.post(f"{path}/metamorph?targetActorId=nobody", {})).error == (404, "actor-not-found")
    assert (await emulator.post(f"{path}/metamorph?targetActorId=local~quick", {})).error == (400, "invalid-input")
    assert (await emulator.post(f"{path}/metamorph?targetActorId=local~quick&build=9.9.9", {"a": "x"})).error == (
        404,
        "unknown-build-tag",
    )


async def test_a_run_that_is_being_aborted_neither_reboots_nor_metamorphs(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("deaf", "print('awake', flush=True)\ntime.sleep(60)")
    emulator = await start_emulator(clock_factor=1.0)  # it has its 30 seconds
    run = await emulator.start("deaf")
    path = f"/v2/actor-runs/{run['id']}"
    await emulator.until(run, "awake")

    await emulator.post(f"{path}/abort?gracefully=1")

    assert (await emulator.post(f"{path}/reboot")).error == (400, "invalid-request")
    assert (await emulator.post(f"{path}/metamorph?targetActorId=local~deaf", {})).error == (400, "invalid-request")
    now = (await emulator.get(path)).data
    assert (now["status"], now["metamorphs"], now["stats"]["rebootCount"]) == ("ABORTING", None, 0)


async def test_a_restart_after_a_failure_counts_and_a_reboot_does_not_use_it_up(
    start_emulator: StartEmulator, actors: Path
) -> None:
    write_script(actors, "broken", exit_code=3, items=[{"n": 1}])
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("broken", "restartOnError=1"))

    assert (run["status"], run["stats"]["restartCount"], run["exitCode"]) == ("FAILED", 3, 3)
    assert len((await emulator.get(f"/v2/datasets/{run['defaultDatasetId']}/items")).json) == 4


@pytest.mark.parametrize("ending", ["abort", "timeout"])
async def test_a_run_that_was_rebooted_still_ends_as_it_should(
    start_emulator: StartEmulator, actors: Path, ending: str
) -> None:
    write_script(actors, "endless", duration="1h")
    emulator = await start_emulator()
    run = await emulator.start("endless", "timeout=1" if ending == "timeout" else "")
    path = f"/v2/actor-runs/{run['id']}"
    await running(emulator, run)
    await emulator.post(f"{path}/reboot")

    if ending == "abort":
        await emulator.post(f"{path}/abort")

    assert (await emulator.finish(run))["status"] == ("ABORTED" if ending == "abort" else "TIMED-OUT")


async def test_what_a_process_uses_is_in_the_statistics(start_emulator: StartEmulator, write_actor: WriteActor) -> None:
    write_actor("eater", "eaten = b'x' * 50_000_000\nprint('awake', flush=True)\ntime.sleep(60)")
    emulator = await start_emulator()
    run = await emulator.start("eater")
    path = f"/v2/actor-runs/{run['id']}"
    while (stats := (await emulator.get(path)).data["stats"])["memCurrentBytes"] < 50_000_000:
        await asyncio.sleep(0.05)

    await emulator.post(f"{path}/abort")
    ended = (await emulator.finish(run))["stats"]

    assert stats["memMaxBytes"] >= stats["memCurrentBytes"] >= stats["memAvgBytes"] > 0
    assert (ended["memMaxBytes"] >= 50_000_000, ended["memCurrentBytes"], ended["cpuCurrentUsage"]) == (True, 0, 0)


async def killed(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_what_a_killed_emulator_left_unfinished_is_aborted_and_told_at_the_next_start(
    start_emulator: StartEmulator, write_actor: WriteActor, actors: Path, tmp_path: Path, listener: Listener
) -> None:
    write_actor("process", "push([{'n': 1}])\nprint('awake', flush=True)\ntime.sleep(60)")
    write_script(actors, "script", duration="1h", items=[{"n": 2}])
    write_script(actors, "done", items=[{"n": 3}])
    helper = await start_emulator(data=tmp_path / "helper")
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, str(tmp_path / "killed"), str(actors)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout
    there = replace(helper, url=(await program.stdout.readline()).decode().strip())
    wanted = hooks(listener.url, "ABORTED", "FAILED", "SUCCEEDED")
    done = await there.finish(await there.start("done", wanted))
    await listener.wait_for(1)
    alive, aborting, scripted = [await there.start(name, wanted) for name in ("process", "process", "script")]
    for run in (alive, aborting):
        await there.until(run, "awake")
    await running(there, scripted)
    assert (await there.post(f"/v2/actor-runs/{aborting['id']}/abort?gracefully=1")).data["status"] == "ABORTING"

    await killed(program)
    again = await start_emulator(data=tmp_path / "killed")

    calls = [body for _, body in await listener.wait_for(4)]
    assert {(body["eventType"], body["resource"]["id"]) for body in calls} == {
        ("ACTOR.RUN.SUCCEEDED", done["id"]),
        *(("ACTOR.RUN.ABORTED", run["id"]) for run in (alive, aborting, scripted)),
    }
    for run, items in ((alive, [{"n": 1}]), (aborting, [{"n": 1}]), (scripted, [{"n": 2}])):
        ended = await again.finish(run)
        assert (ended["status"], ended["exitCode"], ended["isStatusMessageTerminal"]) == ("ABORTED", None, True)
        assert ended["statusMessage"] == "The emulator was stopped while the Actor was running."
        assert ended["finishedAt"] >= ended["startedAt"]
        assert (await again.get(f"/v2/actor-runs/{run['id']}/dataset/items")).json == items
    assert await again.finish(done) == done
    assert [run["status"] for run in (await again.get("/v2/actor-runs?status=ABORTED")).data["items"]] == [
        "ABORTED"
    ] * 3

"""Runs of real programs, from start to end."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from tests.emulator.conftest import Emulator, StartEmulator, WriteActor

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


async def until_dead(pid: int) -> None:
    while is_alive(pid):
        await asyncio.sleep(0.01)


async def test_a_run_succeeds_and_leaves_items_records_and_a_log(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "worker",
        "print('to stdout')\nprint('\\033[31mto stderr\\033[0m', file=sys.stderr)\n"
        "push([{'n': 1}, {'n': 2}])\nrecord('OUTPUT', b'hello', 'text/plain')\nprint('no newline', end='')",
    )
    emulator = await start_emulator()

    answer = await emulator.post("/v2/acts/local~worker/runs?timeout=60&memory=256&build=latest", {"a": 1})
    run = await emulator.finish(answer.data)

    root = f"/v2/actor-runs/{run['id']}"
    assert answer.status == 201
    assert answer.headers["Location"] == f"{emulator.url}/v2/acts/{run['actId']}/runs/{run['id']}"
    assert (run["status"], run["exitCode"], run["statusMessage"]) == ("SUCCEEDED", 0, "Actor finished with exit code 0")
    assert (await emulator.get(f"{root}/dataset/items")).json == [{"n": 1}, {"n": 2}]
    assert (await emulator.get(f"{root}/key-value-store/records/OUTPUT")).body == b"hello"
    lines = (await emulator.get(f"{root}/log")).body.decode().splitlines()
    assert all(STAMP.match(line) for line in lines)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "ACTOR: Creating process.",
        "ACTOR: Process started.",
        "to stdout",
        "to stderr",
        "no newline",
        "ACTOR: Actor finished with exit code 0",
    ]
    assert "\x1b[31mto stderr\x1b[0m" in (await emulator.get(f"{root}/log?raw=1")).body.decode()
    download = await emulator.get(f"/v2/logs/{run['id']}?download=1")
    assert download.headers["Content-Disposition"] == f'attachment; filename="{run["id"]}.txt"'


@pytest.mark.parametrize(
    ("source", "code"), [("sys.exit(3)", 3), ("raise OSError", 1), ("os.kill(os.getpid(), signal.SIGTERM)", 143)]
)
async def test_another_exit_code_is_a_failure(
    start_emulator: StartEmulator, write_actor: WriteActor, source: str, code: int
) -> None:
    write_actor("failing", source)
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("failing"))

    assert (run["status"], run["exitCode"], run["stats"]["restartCount"]) == ("FAILED", code, 0)


async def test_a_command_that_does_not_exist_is_a_failure(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("missing", command=["/nowhere/at/all"])
    folder = write_actor("folderless")
    emulator = await start_emulator()
    (folder / "main.py").unlink()
    (folder / "actor.yaml").unlink()
    folder.rmdir()

    missing = await emulator.finish(await emulator.start("missing"))
    folderless = await emulator.finish(await emulator.start("folderless"))

    assert (missing["status"], missing["exitCode"]) == ("FAILED", 127)
    assert (folderless["status"], folderless["exitCode"]) == ("FAILED", None)
    assert folderless["statusMessage"].startswith("The Actor could not be started")


async def test_a_terminal_status_message_of_the_actor_is_kept(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "speaker",
        "call('PUT', '/actor-runs/' + os.environ['ACTOR_RUN_ID'],"
        " json.dumps({'statusMessage': 'All pages read', 'isStatusMessageTerminal': True}).encode())",
    )
    emulator = await start_emulator()

    assert (await emulator.finish(await emulator.start("speaker")))["statusMessage"] == "All pages read"


async def test_the_timeout_ends_the_whole_process_group(start_emulator: StartEmulator, write_actor: WriteActor) -> None:
    write_actor(
        "family",
        "child = subprocess.Popen(['sleep', '60'])\n"
        "record('PIDS', json.dumps([os.getpid(), child.pid]).encode(), 'application/json')\ntime.sleep(60)",
    )
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("family", "timeout=0.5"))

    assert (run["status"], run["options"]["timeoutSecs"], run["exitCode"]) == ("TIMED-OUT", 1, 137)
    for pid in (await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/PIDS")).json:
        await until_dead(pid)
    log = (await emulator.get(f"/v2/logs/{run['id']}")).body.decode()
    assert "ACTOR: The actor run has reached the timeout of 1 seconds" in log.replace("Actor run", "actor run")


async def test_an_abort_ends_a_run_at_once(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")

    aborted = (await emulator.post(f"/v2/actor-runs/{run['id']}/abort")).data
    ended = await emulator.finish(run)

    assert (aborted["status"], ended["status"], ended["exitCode"]) == ("ABORTING", "ABORTED", 137)
    assert (await emulator.post(f"/v2/actor-runs/{run['id']}/abort")).data == ended


async def test_a_graceful_abort_lets_the_actor_end_by_itself(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    folder = write_actor("polite", "print('awake')\nwhile not os.path.exists('stop'): time.sleep(0.01)")
    emulator = await start_emulator(clock_factor=1.0)
    run = await emulator.start("polite")
    await emulator.until(run, "awake")

    await emulator.post(f"/v2/actor-runs/{run['id']}/abort?gracefully=true")
    assert (await emulator.get(f"/v2/actor-runs/{run['id']}")).data["status"] == "ABORTING"
    await emulator.post(f"/v2/actor-runs/{run['id']}/abort")  # nothing more to abort
    (folder / "stop").touch()
    ended = await emulator.finish(run)

    assert (ended["status"], ended["exitCode"]) == ("ABORTED", 0)
    assert (await emulator.get(f"/v2/logs/{run['id']}")).body.count(b"is being aborted") == 1


async def test_a_graceful_abort_loses_patience(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")

    await emulator.post(f"/v2/actor-runs/{run['id']}/abort?gracefully=true")

    assert (await emulator.finish(run))["exitCode"] == 137


async def test_a_failing_run_is_restarted_when_asked(start_emulator: StartEmulator, write_actor: WriteActor) -> None:
    write_actor("stubborn", "push({'try': 1})\nsys.exit(5)")
    write_actor("second", "done = os.path.exists('once')\nopen('once', 'w').close()\nsys.exit(0 if done else 5)")
    emulator = await start_emulator()

    stubborn = await emulator.finish(await emulator.start("stubborn", "restartOnError=true"))
    second = await emulator.finish(await emulator.start("second", "restartOnError=true"))

    assert (stubborn["status"], stubborn["stats"]["restartCount"], stubborn["exitCode"]) == ("FAILED", 3, 5)
    assert (second["status"], second["stats"]["restartCount"]) == ("SUCCEEDED", 1)
    assert len((await emulator.get(f"/v2/datasets/{stubborn['defaultDatasetId']}/items")).json) == 4


async def test_a_resurrected_run_goes_on_with_the_same_storages(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("again", "push([{'n': 1}])\nprint(os.environ['ACTOR_MEMORY_MBYTES'])")
    emulator = await start_emulator()
    first = await emulator.finish(await emulator.start("again"))

    answer = await emulator.post(f"/v2/actor-runs/{first['id']}/resurrect?memory=256&timeout=77")
    second = await emulator.finish(answer.data)

    assert answer.data["finishedAt"] is None
    assert (second["status"], second["stats"]["resurrectCount"]) == ("SUCCEEDED", 1)
    assert (second["options"]["memoryMbytes"], second["options"]["timeoutSecs"]) == (256, 77)
    assert second["finishedAt"] > first["finishedAt"]
    assert second["stats"]["durationMillis"] > first["stats"]["durationMillis"]
    assert len((await emulator.get(f"/v2/datasets/{first['defaultDatasetId']}/items")).json) == 2
    assert "Z 256\n" in (await emulator.get(f"/v2/logs/{first['id']}")).body.decode()


async def test_only_finished_runs_are_resurrected_or_deleted(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    path = f"/v2/actor-runs/{run['id']}"

    assert (await emulator.post(f"{path}/resurrect")).error == (400, "invalid-request")
    assert (await emulator.ask("DELETE", path)).error == (400, "cannot-remove-running-run")
    await emulator.post(f"{path}/abort")
    await emulator.finish(run)
    assert (await emulator.ask("DELETE", path)).status == 204
    assert (await emulator.get(path)).error == (404, "record-not-found")
    assert (await emulator.get(f"/v2/datasets/{run['defaultDatasetId']}/items")).error == (404, "record-not-found")
    assert (await emulator.get(f"/v2/logs/{run['id']}")).error == (404, "record-not-found")
    assert (await emulator.ask("DELETE", path)).error == (404, "record-not-found")


async def test_waiting_is_cut_at_what_was_asked_and_any_number_is_taken(emulator: Emulator) -> None:
    waited = (await emulator.post("/v2/acts/local~quick/runs?waitForFinish=999999")).data
    running = (await emulator.post("/v2/acts/local~sleepy/runs?waitForFinish=0.1")).data

    assert (waited["status"], running["status"] in {"READY", "RUNNING"}) == ("SUCCEEDED", True)
    assert (await emulator.get(f"/v2/actor-runs/{running['id']}?waitForFinish=0.1")).data["finishedAt"] is None
    assert (await emulator.get(f"/v2/actor-runs/{running['id']}?waitForFinish=-1")).error == (400, "invalid-value")


async def test_many_wait_for_one_run(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")
    waiting = [asyncio.create_task(emulator.finish(run)) for _ in range(20)]

    await emulator.post(f"/v2/actor-runs/{run['id']}/abort")

    assert {ended["status"] for ended in await asyncio.gather(*waiting)} == {"ABORTED"}


async def test_a_log_is_followed_until_the_run_ends(emulator: Emulator) -> None:
    run = await emulator.start("sleepy")
    headers = {"Authorization": "Bearer t"}
    url = f"{emulator.url}/v2/actor-runs/{run['id']}/log?stream=1"
    async with emulator.session.get(url, headers=headers) as response:
        seen = ""
        while "awake" not in seen:
            seen += (await response.content.readany()).decode()
        await emulator.post(f"/v2/actor-runs/{run['id']}/abort")
        seen += (await response.read()).decode()

    assert seen == (await emulator.get(f"/v2/logs/{run['id']}?stream=1")).body.decode()
    assert seen.endswith("ACTOR: Actor was aborted\n")


async def test_the_token_of_a_run_works_for_its_life_and_no_longer(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("leaky", "record('TOKEN', os.environ['APIFY_TOKEN'].encode(), 'text/plain')")
    emulator = await start_emulator(token="t")
    run = await emulator.finish(await emulator.start("leaky"))
    token = (await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/TOKEN")).body.decode()

    assert run["status"] == "SUCCEEDED"
    assert (await emulator.get("/v2/users/me", token=token)).error == (401, "token-not-valid")


async def test_what_a_finished_program_left_running_ends_with_it(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "messy",
        "child = subprocess.Popen(['sleep', '60'])\nrecord('PID', str(child.pid).encode(), 'application/json')",
    )
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("messy"))

    assert run["status"] == "SUCCEEDED"
    await until_dead((await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/PID")).json)


async def test_a_process_that_left_the_group_does_not_hold_up_the_end(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor(
        "escaping",
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "record('PID', str(child.pid).encode(), 'application/json')",
    )
    emulator = await start_emulator()

    run = await emulator.finish(await emulator.start("escaping"))
    os.kill((await emulator.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/PID")).json, signal.SIGKILL)

    assert run["status"] == "SUCCEEDED"

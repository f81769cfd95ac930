"""Starting and stopping the emulator, and what outlives it."""

import asyncio
import errno
import json
import signal
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.serve import serve
from emulator.settings import EmulatorError, EmulatorSettings
from tests.emulator.conftest import Emulator, StartEmulator, WriteActor
from tests.emulator.test_runs import is_alive, until_dead

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
async def test_an_address_others_can_reach_needs_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(EmulatorError, match="set --token"):
        await serve(EmulatorSettings(data=tmp_path), host, 0)


async def test_an_address_that_is_taken_is_named(emulator: Emulator, tmp_path: Path) -> None:
    port = int(emulator.url.rsplit(":", 1)[1])

    with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        await serve(EmulatorSettings(data=tmp_path / "other"), "127.0.0.1", port)


async def test_two_emulators_do_not_share_their_data(emulator: Emulator, tmp_path: Path) -> None:
    assert emulator.url

    with pytest.raises(EmulatorError, match="perhaps another emulator does"):
        await serve(EmulatorSettings(data=tmp_path / "data"), "127.0.0.1", 0)


@pytest.mark.parametrize("host", ["localhost", "::1", "0.0.0.0"])
async def test_it_tells_the_address_under_which_actors_reach_it(tmp_path: Path, host: str) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(EmulatorSettings(data=tmp_path, token="t"), host, 0, ready=ready.set_result))

    url = await ready
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert url.rsplit(":", 1)[0] == {"localhost": "http://localhost", "::1": "http://[::1]"}.get(
        host, "http://127.0.0.1"
    )


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("name: Bad Name\ncommand: [x]", "name"),
        ("name: a\ncommand: []", "command"),
        ("name: a", "nothing says how this Actor is started.*Write it into .*/actor.yaml"),
        ("name: a\ncommand: [x]\nshell: true", "unknown field `shell`"),
        ("name: a\ncommand: [x]\nmemoryMbytes: 1", "memoryMbytes"),
        ("name: [", "while parsing"),
    ],
)
async def test_an_actor_that_cannot_be_meant_stops_the_start(
    actors: Path, tmp_path: Path, manifest: str, said: str
) -> None:
    (actors / "bad").mkdir()
    (actors / "bad" / "actor.yaml").write_text(manifest)

    with pytest.raises(EmulatorError, match="(?s)" + said):
        await serve(EmulatorSettings(data=tmp_path / "d", actors=(actors,)), "127.0.0.1", 0)


async def test_a_missing_actors_folder_and_twin_names_stop_the_start(actors: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (actors / folder).mkdir()
        (actors / folder / "actor.yaml").write_text("name: same\ncommand: [x]")

    with pytest.raises(EmulatorError, match="is not a folder"):
        await serve(EmulatorSettings(data=tmp_path / "d", actors=(tmp_path / "nowhere",)), "127.0.0.1", 0)
    with pytest.raises(EmulatorError, match="the same name"):
        await serve(EmulatorSettings(data=tmp_path / "d", actors=(actors,)), "127.0.0.1", 0)


async def test_an_error_at_the_start_reaches_the_caller(
    start_emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr("emulator.lives.Lives.recover", broken)

    with pytest.raises(OSError, match="disk on fire"):
        await start_emulator()


def database_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("trouble")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "The emulator cannot keep its data: No space left on device.",
        ),
        (database_error(sqlite3.SQLITE_FULL), "The emulator cannot keep its data: trouble."),
        (database_error(sqlite3.SQLITE_ERROR), "The emulator failed; its log says more."),
        (OSError(errno.ENOENT, "gone"), "The emulator failed; its log says more."),
    ],
)
async def test_a_full_disk_is_named_and_nothing_else_is_taken_for_one(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, trouble: Exception, said: str
) -> None:
    def fail(*_: object) -> None:
        raise trouble

    dataset = (await emulator.post("/v2/datasets")).data["id"]
    monkeypatch.setattr("emulator.datasets.Datasets.append", fail)

    answer = await emulator.post(f"/v2/datasets/{dataset}/items", [{"n": 1}])

    assert (answer.error, answer.json["error"]["message"]) == ((500, "internal-server-error"), said)


async def test_stopping_ends_running_actors_and_a_restart_remembers_everything(
    start_emulator: StartEmulator, write_actor: WriteActor
) -> None:
    write_actor("done", "push([{'n': 1}])\nrecord('OUTPUT', b'1', 'application/json')")
    write_actor(
        "sleepy", "record('PID', str(os.getpid()).encode(), 'application/json')\nprint('awake')\ntime.sleep(60)"
    )
    emulator = await start_emulator(clock_factor=1.0)
    done = await emulator.finish(await emulator.start("done"))
    graceful, running = await emulator.start("sleepy"), await emulator.start("sleepy")
    for run in (graceful, running):
        await emulator.until(run, "awake")
    await emulator.post(f"/v2/actor-runs/{graceful['id']}/abort?gracefully=1")
    pid = (await emulator.get(f"/v2/actor-runs/{running['id']}/key-value-store/records/PID")).json

    await emulator.stop()
    assert not is_alive(pid)
    again = await start_emulator()

    assert await again.finish(done) == done
    assert (await again.get(f"/v2/actor-runs/{done['id']}/dataset/items")).json == [{"n": 1}]
    assert (await again.get(f"/v2/actor-runs/{done['id']}/key-value-store/records/OUTPUT")).json == 1
    for run in (graceful, running):
        assert (await again.finish(run))["status"] == "ABORTED"


SERVE = """
import asyncio, sys
from pathlib import Path
from emulator.serve import serve
from emulator.settings import EmulatorSettings
settings = EmulatorSettings(data=Path(sys.argv[1]), actors=(Path(sys.argv[2]),))
asyncio.run(serve(settings, "127.0.0.1", 0, ready=lambda url: print(url, flush=True)))
"""


async def separate_emulator(
    emulator: Emulator, data: Path, actors: Path
) -> tuple[asyncio.subprocess.Process, Emulator]:
    """An emulator in a process of its own, asked with the session of the other one."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, str(data), str(actors)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    return process, replace(emulator, url=url)


async def test_a_killed_emulator_leaves_no_actor_and_its_runs_are_aborted_at_the_next_start(
    start_emulator: StartEmulator, write_actor: WriteActor, emulator: Emulator, actors: Path, tmp_path: Path
) -> None:
    write_actor(
        "family",
        "child = subprocess.Popen(['sleep', '60'])\n"
        "record('PIDS', json.dumps([os.getpid(), child.pid]).encode(), 'application/json')\n"
        "print('awake')\ntime.sleep(60)",
    )
    data = tmp_path / "killed"
    process, there = await separate_emulator(emulator, data, actors)
    run = await there.start("family")
    await there.until(run, "awake")
    pids = json.loads((await there.get(f"/v2/actor-runs/{run['id']}/key-value-store/records/PIDS")).body)

    process.send_signal(signal.SIGKILL)
    await process.wait()
    for pid in pids:
        await until_dead(pid)
    again = await start_emulator(data=data)

    ended = await again.finish(run)
    assert (ended["status"], ended["exitCode"]) == ("ABORTED", None)
    assert ended["statusMessage"] == "The emulator was stopped while the Actor was running."
    assert b"The emulator was stopped" in (await again.get(f"/v2/logs/{run['id']}")).body


async def test_who_waits_for_a_run_or_follows_its_log_is_answered_before_the_stop(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    run = await emulator.start("sleepy")
    await emulator.until(run, "awake")
    ended = asyncio.create_task(emulator.finish(run))
    log = asyncio.create_task(emulator.get(f"/v2/logs/{run['id']}?stream=1"))
    await emulator.get("/v2/users/me")  # both are on their way by then

    await emulator.stop()

    assert (await ended)["status"] == "ABORTED"
    assert (await log).body.endswith(b"ACTOR: Actor was aborted\n")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_signal_aborts_running_actors_like_any_other_stop(
    start_emulator: StartEmulator, emulator: Emulator, actors: Path, tmp_path: Path
) -> None:
    data = tmp_path / "terminated"
    process, there = await separate_emulator(emulator, data, actors)
    run = await there.start("sleepy")
    await there.until(run, "awake")

    process.terminate()

    assert await process.wait() == -signal.SIGTERM
    again = await start_emulator(data=data)
    assert (await again.finish(run))["status"] == "ABORTED"

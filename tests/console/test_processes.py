"""Child processes: ready when they say so, stopped in order, missed when they die, never left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.failures import CommandFailed
from console.processes import Crew
from tests.console.command import ROOT, environment, left_of, plant, ran, running

#: What a user puts into the `.env` that `init` wrote.
TOKEN = {"APIFY_TOKEN": "apify_token_0123456789"}

#: Stands in for a command that will not stop.
DEAF = """
import signal, sys
if "emulator" in sys.orig_argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print('{"event": "ready", "url": "http://deaf"}', flush=True)
    while True:
        signal.pause()
"""

#: Stands in for a command that crashes after a while.
DYING = """
import os, sys, threading, time
def die():
    time.sleep(3)
    print("last words", file=sys.stderr, flush=True)
    os._exit(7)
if "emulator" in sys.orig_argv:
    threading.Thread(target=die, daemon=True).start()
"""


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def crew(said: list[tuple[str, str]]) -> Crew:
    return Crew(lambda name, line: said.append((name, line)), patience=0.5)


@pytest.fixture(autouse=True)
def _none_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert left_of(tmp_path) == set()


def _emulator(folder: Path) -> list[str]:
    return ["emulator", "--data", str(folder / "data"), "--port", "0"]


async def test_a_child_is_ready_at_the_url_it_says(crew: Crew, tmp_path: Path) -> None:
    async with crew:
        url = await crew.start("platform", _emulator(tmp_path), env=environment(tmp_path / "home"), cwd=tmp_path)
        assert url.startswith("http://127.0.0.1:")
        assert await crew.together(asyncio.sleep(0, "done")) == "done"
        assert len(left_of(tmp_path)) == 1


async def test_a_child_that_cannot_start_is_told_with_its_reason(crew: Crew, tmp_path: Path) -> None:
    async with crew:
        with pytest.raises(CommandFailed, match=r"door ended with 78:\nrunrelay.yaml: there is no such file"):
            await crew.start("door", ["receiver"], env=environment(tmp_path / "home"), cwd=tmp_path)


async def test_a_child_that_dies_ends_the_work_and_is_told_with_its_last_lines(crew: Crew, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", plant(tmp_path / "plant", DYING))

    async def live() -> None:
        await crew.start("platform", _emulator(tmp_path), env=env, cwd=tmp_path)
        await crew.together(asyncio.sleep(60))

    async with crew:
        with pytest.raises(CommandFailed, match=r"platform ended with 7:(\n.*)*\nlast words"):
            await live()


async def test_a_child_that_will_not_stop_is_killed(crew: Crew, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", plant(tmp_path / "plant", DEAF))
    async with crew:
        assert await crew.start("platform", _emulator(tmp_path), env=env, cwd=tmp_path) == "http://deaf"
    assert crew.children[0].process.returncode == -signal.SIGKILL


async def test_lines_of_any_length_pass(crew: Crew, said: list[tuple[str, str]], tmp_path: Path) -> None:
    loud = "import sys\nif 'emulator' in sys.orig_argv:\n    sys.stderr.write('x' * 1_000_000 + '\\nnext\\n')\n"
    env = environment(tmp_path / "home", plant(tmp_path / "plant", loud))
    async with crew:
        await crew.start("platform", _emulator(tmp_path), env=env, cwd=tmp_path)
    assert sum(line.count("x") for _, line in said) >= 1_000_000
    assert ("platform", "next") in said


@pytest.mark.parametrize("command", ["receiver", "worker", "emulator"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_each_process_says_its_url_first_and_ends_with_0_when_told(
    command: str, number: signal.Signals, tmp_path: Path, valkey_server: str
) -> None:
    ran(["init", "file"], tmp_path)
    words = [*_emulator(tmp_path)] if command == "emulator" else [command, "--port", "0"]
    with running([*words, "--json"], tmp_path, {"REDIS_URL": valkey_server, **TOKEN}) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["part"], ready["url"].split(":")[:2]) == (
            "ready",
            command,
            ["http", "//127.0.0.1"],
        )
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "")


def test_up_serves_keeps_its_ledger_and_stops_when_told(tmp_path: Path) -> None:
    assert ran(["init", "emulator"], tmp_path).code == 0
    for known in (0, 1):
        ports = ["--port", "0", "--worker-port", "0", "--emulator-port", "0"]
        with running(["up", "--emulator", "--json", *ports], tmp_path) as process:
            assert process.stdout
            ready = json.loads(process.stdout.readline())
            assert ran(["up", "--json"], tmp_path).objects[0]["kind"] == "already_up"
            assert len(ran(["runs", "--json"], tmp_path).objects) == known
            words = ["call", "runrelay~pydoc-crawler", "--input", '{"maxModules": 1}', "--no-follow", "--json"]
            called = ran(words, tmp_path, {"APIFY_API_URL": ready["emulator"]})
            assert (called.code, called.objects[-1]["event"]) == (0, "announced")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            assert (process.returncode, left_of(tmp_path)) == (0, set())
    assert ran(["runs"], tmp_path).code == 1  # nobody is up any more, and no REDIS_URL says otherwise


def test_up_killed_without_a_word_leaves_no_orphan(tmp_path: Path) -> None:
    assert ran(["init", "file"], tmp_path).code == 0
    with running(["up", "--json", "--port", "0", "--worker-port", "0"], tmp_path, TOKEN) as process:
        assert process.stdout
        process.stdout.readline()
        assert len(left_of(tmp_path)) == 4
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while left_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left_of(tmp_path) == set()


def test_a_folder_of_the_user_s_cannot_stand_in_for_our_rooms(tmp_path: Path) -> None:
    assert ran(["init", "file"], tmp_path).code == 0
    for room in ("config", "workers", "receiver", "console"):
        (tmp_path / f"{room}.py").write_text("raise SystemExit('shadowed')")
    with running(["up", "--json", "--port", "0", "--worker-port", "0"], tmp_path, TOKEN) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_ctrl_c_that_a_shell_had_switched_off_still_ends_the_demo(tmp_path: Path) -> None:
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-P", "-m", "console.cli.main", "demo"]
    process = subprocess.Popen(
        ignoring, cwd=tmp_path, env=environment(tmp_path / "home"), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    process.stderr.readline()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_only_the_emulator_s_own_command_loads_it() -> None:
    loaded = "import sys, console.cli.main; print([name for name in sys.modules if name.startswith('emulator')])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"

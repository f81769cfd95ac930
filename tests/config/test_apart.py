"""Calls that never return."""

import asyncio
import subprocess
import sys
import threading

import pytest

from config.apart import Apart, StillRunning


async def test_a_call_returns_or_raises_what_its_function_does() -> None:
    apart = Apart(1)
    assert await apart.call("one", pow, 3, 2) == 9
    with pytest.raises(KeyError):
        await apart.call("one", lambda: dict[str, int]()["absent"])


async def test_of_those_given_up_only_so_many_go_on_by_name() -> None:
    apart, end = Apart(2), threading.Event()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(apart.call("one", end.wait), 0.01)
    with pytest.raises(StillRunning):
        await asyncio.wait_for(apart.call("one", end.wait), 1)
    assert await apart.call("another", lambda: 1) == 1
    assert await asyncio.to_thread(lambda: 1) == 1
    end.set()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await apart.call("one", lambda: 1) == 1
                break
            except StillRunning:
                await asyncio.sleep(0.001)


def test_the_process_ends_although_a_call_does_not() -> None:
    code = (
        "import asyncio, threading; from config.apart import Apart\n"
        "asyncio.run(asyncio.wait_for(Apart(1).call('one', threading.Event().wait), 0.01))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=10, capture_output=True, check=False)
    assert (ended.returncode, b"TimeoutError" in ended.stderr) == (1, True)

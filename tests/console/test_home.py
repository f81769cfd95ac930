"""The queue server of `runrelay up`: when it is gone, `up` is told, and says what to do."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from console.failures import CommandFailed
from console.home import queue_at, queue_ended


async def test_a_queue_server_that_is_killed_ends_the_wait_with_what_to_do(tmp_path: Path) -> None:
    with queue_at(tmp_path) as url:
        waiting = asyncio.create_task(queue_ended(tmp_path, url))
        async with Redis.from_url(url) as redis:
            assert await redis.ping()
            assert not waiting.done()
            os.kill((await redis.info("server"))["process_id"], signal.SIGKILL)
        with pytest.raises(CommandFailed) as told:
            await waiting
    assert told.value.kind == "process_died"
    log = tmp_path / "queue" / "valkey.log"
    assert told.value.message == (
        f"the queue server ended, see {log}; start `runrelay up` again: what was accepted is kept"
    )

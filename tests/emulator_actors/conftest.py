"""Fixtures for the demo Actor's tests: a stand-in platform, and the Actor as the program it is."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.emulator_actors.platform_stand_in import DATASET, RUN, STORE, TOKEN, PlatformStandIn

FOLDER = Path(__file__).parents[2] / "emulator" / "actors" / "pydoc_crawler"
StartActor = Callable[[], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def platform() -> PlatformStandIn:
    return PlatformStandIn()


@pytest.fixture
async def platform_url(platform: PlatformStandIn) -> AsyncIterator[str]:
    runner = web.AppRunner(platform.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    platform.pushes_answered.set()  # the server waits for answers that are being written
    await runner.cleanup()


@pytest.fixture
def actor_environment(platform_url: str) -> dict[str, str]:
    """What the platform sets; a test may change it before the start."""
    return {
        "PATH": os.environ["PATH"],
        "APIFY_API_BASE_URL": platform_url,
        "APIFY_TOKEN": TOKEN,
        "ACTOR_RUN_ID": RUN,
        "ACTOR_DEFAULT_DATASET_ID": DATASET,
        "ACTOR_DEFAULT_KEY_VALUE_STORE_ID": STORE,
        "ACTOR_INPUT_KEY": "INPUT",
    }


@pytest.fixture
async def start_actor(actor_environment: dict[str, str]) -> AsyncIterator[StartActor]:
    """Starts `main.py` in its own folder, as the command in `actor.yaml` says."""
    started: list[asyncio.subprocess.Process] = []

    async def start() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "main.py"),
            cwd=FOLDER,
            env=actor_environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()

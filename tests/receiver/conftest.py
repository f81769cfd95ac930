import logging
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import structlog
from starlette.applications import Starlette

from config import logs
from config.settings import load_settings
from receiver.app import create_app
from tests.receiver.plain import TestQueue, plain_source
from tests.receiver.wire import Wire, running

SECRET = "a-secret-of-thirty-two-characters"
OLD_SECRET = "the-one-it-replaces-still-opens-"


class Lines:
    """Everything logged so far, raw and decoded."""

    def __init__(self) -> None:
        self.stream = StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (msgspec.json.decode(line) for line in self.text.splitlines())

    def forget(self) -> None:
        self.stream.seek(0)
        self.stream.truncate()

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self if line["event"] == event]


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    """The real logging set-up, at its most talkative, read back."""
    written = Lines()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure("debug", "json", stream=written.stream)
    yield written
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def queue() -> TestQueue:
    return TestQueue()


@pytest.fixture(scope="module")
def make_app(queue: TestQueue) -> Callable[..., Starlette]:
    def make(**how: Any) -> Starlette:
        sources = {
            "plain": plain_source("plain", SECRET, OLD_SECRET),
            "fenced": plain_source("fenced", SECRET, networks=["192.0.2.0/24"]),
        }
        return create_app(sources, queue, settings=load_settings(receive_timeout=0.3), **how)

    return make


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_wire(make_app: Callable[..., Starlette], lines: Lines) -> AsyncIterator[Wire]:
    async with running(make_app()) as wire:
        yield wire


@pytest.fixture
def wire(running_wire: Wire, queue: TestQueue, lines: Lines) -> Wire:
    """A receiver that has not heard of anything yet. It is one for all tests of a file: stopping takes its time."""
    queue.forget()
    lines.forget()
    return running_wire

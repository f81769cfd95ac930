"""Platforms to ask: a scripted one that gives recorded answers, and the emulator."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from emulator.scenarios import Scenario
from tests.config.sources.generic_place import Generic, generic
from tests.config.sources.platforms import Emulated, Scripted, emulated, scripted
from tests.ittybit.asking import Project, project
from workers.fetch.api import Session, open_session


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process believes that it stands in New York."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with open_session(read_timeout=30) as opened:
        yield opened


@pytest.fixture
async def platform(session: Session) -> AsyncIterator[Scripted]:
    async with scripted(session) as place:
        yield place


@pytest.fixture
async def emulator(session: Session, tmp_path: Path) -> AsyncIterator[Emulated]:
    async with emulated(session, tmp_path, Scenario()) as place:
        yield place


@pytest.fixture
async def ittybit(session: Session) -> AsyncIterator[Project]:
    async with project(session) as place:
        yield place


@pytest.fixture
async def made(session: Session) -> AsyncIterator[Generic]:
    async with generic(session) as place:
        yield place

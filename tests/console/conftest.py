"""Leaves things as they were: logging, which commands set up for their process, and temporary folders."""

import logging
import shutil
from collections.abc import Iterator

import pytest
import structlog

from tests.console.command import ROOMS


@pytest.fixture(scope="session", autouse=True)
def _rooms_removed() -> Iterator[None]:
    yield
    for room in ROOMS:
        shutil.rmtree(room, ignore_errors=True)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)

"""Puts a witness into every emulator that `serve` starts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from emulator import serve
from emulator.app import create_app
from emulator.settings import EmulatorSettings
from tests.emulator.conformance.witness import Testimony, Witness


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Testimony]:
    """What emulators answer from here on. Faults that a scenario puts on top of an answer are not seen."""
    testimony = Testimony()

    def create(settings: EmulatorSettings) -> Starlette:
        app = create_app(settings)
        app.user_middleware.append(Middleware(Witness, testimony=testimony))
        return app

    monkeypatch.setattr(serve, "create_app", create)
    yield testimony

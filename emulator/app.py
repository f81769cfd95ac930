"""The emulator as a Starlette app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator import distortions, events
from emulator.api import actors, admin, builds, datasets, missing, queues, runs, stores, tasks, users, webhooks
from emulator.api.call import routes
from emulator.limits import Limits
from emulator.mishaps import HANDLERS
from emulator.neighbours import Neighbours
from emulator.platform import Platform
from emulator.rehearsal import AGENT
from emulator.scenarios import Duplicate, Lose, Overtaken, Scenario
from emulator.settings import EmulatorSettings

_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE"}


def create_app(settings: EmulatorSettings) -> Starlette:
    """The app; its lifespan starts and stops everything, running Actors included.

    `app.state.platform` is the emulator behind it, for tests. Raises: EmulatorError if its Actors cannot be loaded.
    """
    platform = Platform(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await platform.start()
        try:
            yield
        finally:
            await platform.stop()

    endpoints = [
        *actors.endpoints(),
        *builds.endpoints(),
        *tasks.endpoints(),
        *runs.endpoints(),
        *users.endpoints(),
        *datasets.standalone(),
        *stores.standalone(),
        *queues.standalone(),
        *webhooks.endpoints(),
        *admin.endpoints(),
        *missing.endpoints(),
    ]
    app = Starlette(
        routes=[
            *routes(platform, endpoints),
            Mount(distortions.SIGNED_PATH, Signed()),
            WebSocketRoute(events.PATH, platform.events.serve),
        ],
        lifespan=lifespan,
        middleware=[
            Middleware(Neighbours, token=settings.token),
            Middleware(Faults, scenario=settings.scenario),
            Middleware(Limits, share=settings.rate_limits),
            Middleware(Door),
        ],
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.platform = platform
    app.state.signed = {}
    return app


class Faults:
    """Acts out the HTTP faults of a scenario."""

    def __init__(self, app: ASGIApp, scenario: Scenario) -> None:
        self._app, self._scenario = app, scenario

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        action = None
        if scope["type"] == "http" and not _is_spared(scope):
            action = self._scenario.take(f"{scope['method']} {scope['path']}")
        if action is None or isinstance(action, Lose | Duplicate | Overtaken):
            await self._app(scope, receive, send)
        else:
            await action(self._app, scope, receive, send)


def _is_spared(scope: Scope) -> bool:
    """Whether faults leave the request alone: what plans them, and the rehearsal that follows one run to its end."""
    return scope["path"].startswith("/emulator/") or Headers(scope=scope).get("user-agent") == AGENT


class Signed:
    """The places that redirected readers of records are sent to."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await distortions.follow_signed(scope, receive, send, Door(scope["app"].router))


class Door:
    """Two manners of the API that lie before routing: `?method=POST`, and `username%2Fname` as an Actor's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            method = QueryParams(scope["query_string"]).get("method", "").upper()
            if method in _METHODS:
                scope = {**scope, "method": method}
            raw = scope.get("raw_path") or b""
            if raw.startswith((b"/v2/acts/", b"/v2/actors/", b"/v2/actor-tasks/")) and b"%2f" in raw.lower():
                scope = {**scope, "path": unquote(raw.decode("latin-1").replace("%2f", "~").replace("%2F", "~"))}
        await self._app(scope, receive, send)

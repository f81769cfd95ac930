"""The composition root of the receiver: what stands where, and around what."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from config.contracts.source import Source
from config.settings import Settings
from receiver.answers import Answers, passed_on
from receiver.capturing import Capturing
from receiver.endpoint import PREFIX, Door, Queue
from receiver.health import Health
from receiver.journal import Journal
from receiver.limits import MOST_AT_ONCE, Gate, Limits
from receiver.metrics import Metrics
from receiver.openapi import described


class Receiver(Starlette):
    """Starlette for all but webhooks, which go straight to the door: on their way every layer counts."""

    webhooks: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self.webhooks if scope["path"].startswith(PREFIX) else super().__call__
        await way(scope, receive, send)


def create_app(
    sources: Mapping[str, Source], queue: Queue, *, settings: Settings, most_at_once: int = MOST_AT_ONCE
) -> Receiver:
    """The receiver for these sources, by the name their webhooks call them.

    The queue stays the caller's: it is neither opened nor closed here. `app.state.gate` says how many webhooks are
    under way and closes the door (`Gate.drain`); `app.state.metrics` counts what never became a request, and
    takes further figures for `/metrics`.
    """
    gate = Gate(most_at_once)
    metrics = Metrics()
    health = Health(queue, gate, metrics)
    app = Receiver(
        routes=[
            Route("/healthz", health.alive),
            Route("/readyz", health.ready),
            Route("/metrics", health.exposition),
            Route("/openapi.json", described),
        ],
        middleware=[Middleware(Answers)],
        exception_handlers={HTTPException: passed_on},
    )
    app.router.redirect_slashes = False  # a redirect would repeat the path, and a path may hold a token
    door = Door(sources, queue, Capturing(queue, metrics))
    limits = Limits(door, gate=gate, seconds=settings.receive_timeout)
    app.webhooks = Answers(Journal(limits, metrics=metrics))
    app.state.gate = gate
    app.state.metrics = metrics
    return app

"""The composition root of the receiver: what stands where, and around what."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, Router

from config.contracts.source import Source
from config.settings import Settings
from receiver.answers import Answers, passed_on
from receiver.endpoint import Door, Queue
from receiver.health import Health
from receiver.journal import Journal, Metrics
from receiver.limits import MOST_AT_ONCE, Gate, Limits


def create_app(
    sources: Mapping[str, Source], queue: Queue, *, settings: Settings, most_at_once: int = MOST_AT_ONCE
) -> Starlette:
    """The receiver for these sources, by the name their webhooks call them.

    The queue stays the caller's: it is neither opened nor closed here. `app.state.gate` says how many webhooks are
    under way and closes the door (`Gate.drain`).
    """
    gate = Gate(most_at_once)
    metrics = Metrics()
    health = Health(queue, gate, metrics)
    webhooks = _webhooks(Door(sources, queue), metrics, gate, settings)
    app = Starlette(
        routes=[
            Mount("/webhooks", app=webhooks),
            Route("/healthz", health.alive),
            Route("/readyz", health.ready),
            Route("/metrics", health.exposition),
        ],
        middleware=[Middleware(Answers)],
        exception_handlers={HTTPException: passed_on},
    )
    app.router.redirect_slashes = False  # a redirect would repeat the path, and a path may hold a token
    app.state.gate = gate
    return app


def _webhooks(door: Door, metrics: Metrics, gate: Gate, settings: Settings) -> Router:
    return Router(
        [
            Route("/{source}", door.receive, methods=["POST"]),
            Route("/{source}/{token:path}", door.receive, methods=["POST"]),
        ],
        redirect_slashes=False,
        middleware=[
            Middleware(Journal, metrics=metrics),
            Middleware(Limits, gate=gate, seconds=settings.receive_timeout),
        ],
    )

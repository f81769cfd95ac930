"""Apify's webhooks: what a body means. Only the run id in it is believed."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test, event_id
from config.contracts.kinds import Kind
from config.webhooks.bodies import opened
from config.wire.places import at

#: Where the platform's default payload has the run id.
OWN_PATHS = ("eventData.actorRunId", "resource.id")
DISPATCH_HEADER = "x-apify-webhook-dispatch-id"
#: Kinds that never mean that a run has ended (Apify: "Event types for webhooks"). Unknown ones are taken.
NEVER_TERMINAL = frozenset(
    {"ACTOR.RUN.CREATED", "ACTOR.RUN.RESURRECTED"}
    | {f"ACTOR.BUILD.{what}" for what in ("CREATED", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")}
)
TEST = "TEST"
_RUN_ID = re.compile(r"[A-Za-z0-9]{1,64}\Z")
_KIND = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_DISPATCH = re.compile(r"[\x21-\x7e]{1,128}\Z")


def parse(source: str, run_id_paths: Sequence[str], headers: Mapping[str, str], body: bytes) -> Event | Ignored | Test:
    """See `Source.parse`. The body may be of any template; a run id must stand at one of the paths, or where the
    default payload has it: runs that we start ourselves report with that one."""
    fields = opened(body, "check the payload template")
    kind = _text(fields.get("eventType"), _KIND)
    if kind == TEST:
        return Test()
    if kind in NEVER_TERMINAL:
        return Ignored(kind)
    dispatch = _text(headers.get(DISPATCH_HEADER), _DISPATCH)
    return Event(
        id=event_id(source, dispatch, body),
        source=source,
        run_id=_run_id(fields, tuple(run_id_paths)),
        kind=kind,
        body=body,
    )


def _run_id(fields: Mapping[str, Any], paths: tuple[str, ...]) -> str:
    for steps in _places(paths):
        if run_id := _text(at(fields, steps), _RUN_ID):
            return run_id
    raise Refused(
        Kind.EVENT_INVALID,
        f"no run id (1-64 letters and digits) at {' or '.join(map('.'.join, _places(paths)))}; "
        "put {{resource}} or {{eventData}} into the payload template, or set webhook.run_id",
    )


@lru_cache
def _places(paths: tuple[str, ...]) -> list[list[str]]:
    """Where to look, in this order: the operator's paths, and the platform's own."""
    return [path.split(".") for path in dict.fromkeys((*paths, *OWN_PATHS))]


def _text(value: object, pattern: re.Pattern[str]) -> str:
    """The value if it is text of the given form, else nothing."""
    return value if isinstance(value, str) and pattern.match(value) else ""

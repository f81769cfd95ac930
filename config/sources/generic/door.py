"""What a webhook means, as `event` in the file says."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test, event_id
from config.contracts.kinds import Kind
from config.sources.generic.options import EventShape
from config.webhooks.bodies import opened
from config.wire.places import at, steps

_HEADER = "header:"
#: Of every platform's, as far as a person would write one into a command.
RUN_ID = re.compile(r"[A-Za-z0-9._:~-]{1,128}\Z")
_KIND = re.compile(r"[ -~]{1,128}\Z")
_DELIVERY = re.compile(r"[\x21-\x7e]{1,200}\Z")


def parse(source: str, shape: EventShape, headers: Mapping[str, str], body: bytes) -> Event | Ignored | Test:
    """See `Source.parse`."""
    fields = opened(body)
    kind = kind_of(shape, fields, headers)
    if kind in shape.tests:
        return Test()
    if shape.ended and not kind:
        raise Refused(Kind.EVENT_INVALID, f"nothing says what happened: no text at {_listed(shape.kind or ())}")
    if shape.ended and kind not in shape.ended:
        return Ignored(kind)
    delivery = _first(shape.delivery or (), fields, headers, _DELIVERY)
    return Event(
        id=event_id(source, delivery, body), source=source, run_id=_id(shape, fields, headers), kind=kind, body=body
    )


def kind_of(shape: EventShape, fields: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """What happened; empty if nothing says so."""
    return _first(shape.kind or (), fields, headers, _KIND)


def _id(shape: EventShape, fields: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    if run_id := _first(shape.id, fields, headers, RUN_ID):
        return run_id
    raise Refused(
        Kind.EVENT_INVALID,
        f"no run id (1-128 letters, digits and `._:~-`) at {_listed(shape.id)}; set event.id of this source to where "
        "the webhook has it",
    )


def _first(
    places: Iterable[str], fields: Mapping[str, Any], headers: Mapping[str, str], pattern: re.Pattern[str]
) -> str:
    """The first text or whole number of the given form; empty if there is none."""
    found = (_text(_at(place, fields, headers)) for place in places)
    return next((text for text in found if pattern.match(text)), "")


def _at(place: str, fields: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    return headers.get(place.removeprefix(_HEADER)) if place.startswith(_HEADER) else at(fields, steps(place))


def _text(value: object) -> str:
    """Whole numbers beyond 128 digits are no text of ours, and slow to write."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= 400 else ""
    return value if isinstance(value, str) else ""


def _listed(places: Iterable[str]) -> str:
    return " or ".join(f"`{place}`" for place in places)

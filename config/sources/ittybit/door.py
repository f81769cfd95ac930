"""ittybit's webhooks: what a body means. Only the id in it is believed.

Its APIs of different years send different bodies. Read are the events of webhook endpoints (`docs/webhooks`,
`docs/events`) and what `webhook_url` of a job is sent (`guides/set-up-webhook-notifications`).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, event_id
from config.contracts.kinds import Kind
from config.sources.ittybit.statuses import UNDER_WAY
from config.webhooks.bodies import opened

#: Kinds of events of runs that go on (`docs/events`). Unknown ones are taken: cancelled runs may come to be announced.
_BEGUN = frozenset({"run.created", "run.updated"})
#: What announces parts of runs, and what leads to runs.
_PARTS = ("task.", "automation.")
#: What the APIs of before 2025-09-15 say: the envelope of their answers, their events, the members of their tasks.
_OLD_ENVELOPE = frozenset({"meta", "data", "links"})
_OLD_KINDS = re.compile(r"media\.|file\.|task\.completed\Z")
_OLD_MEMBERS = ("results", "project_id", "automation_id")
_OLD = "this is the ittybit API of before 2025-09-15: add {} under /webhooks/endpoints of the present one instead"
_TOPICS = "an endpoint with the topics run.succeeded and run.failed"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_KIND = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_EVENT_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")


def parse(source: str, body: bytes) -> Event | Ignored:
    """See `Source.parse`. A well-formed object of any other kind is ignored: endpoints may be tried before they are
    used."""
    fields = opened(body)
    kind = _text(fields.get("kind"), _KIND)
    data = fields.get("data")
    if _is_old(fields, kind):
        raise Refused(Kind.EVENT_INVALID, _OLD.format(_TOPICS))
    if fields.get("object") == "event" or isinstance(data, dict):
        return _event(source, fields, kind, data if isinstance(data, dict) else {}, body)
    return _bare(source, fields, kind, body)


def _event(source: str, fields: Mapping[str, Any], kind: str, data: Mapping[str, Any], body: bytes) -> Event | Ignored:
    of_run = kind.startswith("run.") or data.get("object") == "run"
    if kind in _BEGUN or kind.startswith(_PARTS) or not of_run:
        return Ignored(kind)
    dispatch = _text(fields.get("id"), _EVENT_ID)
    return _announced(source, data.get("id"), "data.id", kind, event_id(source, dispatch, body), body)


def _bare(source: str, fields: Mapping[str, Any], kind: str, body: bytes) -> Event | Ignored:
    """A job or a task as such. Its `kind` says what it makes; how it stands is what happened."""
    status = _text(fields.get("status"), _KIND)
    if "id" not in fields or not status:
        return Ignored(kind)
    if status in UNDER_WAY:
        return Ignored(status)
    return _announced(source, fields["id"], "id", status, event_id(source, None, body), body)


def _announced(source: str, run_id: object, place: str, kind: str, ident: str, body: bytes) -> Event:
    if found := _text(run_id, _ID):
        return Event(id=ident, source=source, run_id=found, kind=kind, body=body)
    raise Refused(Kind.EVENT_INVALID, f"no id of a run or a job (1-64 letters, digits, _ and -) at {place}")


def _is_old(fields: Mapping[str, Any], kind: str) -> bool:
    if fields.keys() >= _OLD_ENVELOPE or _OLD_KINDS.match(kind):
        return True
    return "data" not in fields and (any(name in fields for name in _OLD_MEMBERS) or _is_date(fields.get("created")))


def _is_date(written: object) -> bool:
    """Times were ISO 8601, and are Unix time."""
    try:
        return isinstance(written, str) and bool(datetime.fromisoformat(written))
    except ValueError:
        return False


def _text(value: object, pattern: re.Pattern[str]) -> str:
    """The value if it is text of the given form, else nothing."""
    return value if isinstance(value, str) and pattern.match(value) else ""

"""The names templates and expressions may use of a run."""

from typing import Any

import msgspec

from config.contracts.old_runs import backfilled
from config.contracts.run import Run
from config.contracts.source import Source


def scope_of(source: Source, run: Run, body: bytes, via: str) -> dict[str, Any]:
    """`run`, `actor`, `task` and the like; `source`, its name in the file; and `event`: what the webhook said, null if
    none did.

    body, via: of the announcement.
    """
    return {
        **source.describe(run),
        "source": source.name,
        "event": _said(body) if body and not backfilled(via) else None,
    }


def _said(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None

"""How often a resource may be asked (Apify API, "Rate limiting"): told in every answer, enforced only on demand."""

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.distortions import too_fast

DEFAULT = 60  # requests a second for one run, one dataset, one store …

_MOST_KEPT = 10_000
# The first pattern that fits "METHOD /path" has the say.
_PATTERNS = [
    (re.compile(pattern), limit)
    for pattern, limit in (
        (r"(POST|DELETE) .*/requests/batch", 40),
        (r"POST .*/head/lock", 40),
        (r"(GET|POST|PUT|DELETE) .*/requests/[^/]+(/lock)?", 400),
        (r"POST .*/(requests|items|runs|run-sync|run-sync-get-dataset-items|metamorph)", 400),
        (r"(GET|PUT|POST|DELETE) .*/records/.+", 200),
    )
]


@dataclass
class Pace:
    """Buckets of one second, one for each resource and kind of request.

    Attributes:
        share: which part of Apify's limits is enforced, 1.0 for all of them; None enforces nothing.
    """

    share: float | None
    _left: OrderedDict[tuple[str, int], tuple[float, float]] = field(default_factory=OrderedDict)

    def allows(self, resource: str, limit: int) -> bool:
        """Whether one more request now is within the limit; it is counted."""
        if self.share is None:
            return True
        rate, now = limit * self.share, monotonic()
        left, seen = self._left.pop((resource, limit), (rate, now))
        left = min(rate, left + (now - seen) * rate)
        is_allowed = left >= 1
        self._left[resource, limit] = (left - is_allowed, now)
        if len(self._left) > _MOST_KEPT:
            self._left.popitem(last=False)
        return is_allowed


class Limits:
    """ASGI middleware: writes `X-RateLimit-Limit`, and answers 429 to those who are too fast."""

    def __init__(self, app: ASGIApp, share: float | None) -> None:
        self._app, self._pace = app, Pace(share)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v2/"):
            await self._app(scope, receive, send)
            return
        limit = limit_of(scope["method"], scope["path"])
        if not self._pace.allows("/".join(scope["path"].split("/")[:4]), limit):
            await too_fast(limit)(self._app, scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-RateLimit-Limit", str(limit))
            await send(message)

        await self._app(scope, receive, told)


def limit_of(method: str, path: str) -> int:
    """Requests a second that Apify allows to one resource."""
    subject = f"{method} {path}"
    return next((limit for pattern, limit in _PATTERNS if pattern.fullmatch(subject)), DEFAULT)

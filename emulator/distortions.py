"""Faults that spoil an otherwise good answer, each in a way that Apify's clients have met.

Empty pages with more to come, counts that lag behind the rows, redirects to a storage host, tokens that die in use.
"""

import base64
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import URL, MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.access import sent_token
from emulator.api.call import error_answer
from emulator.errors import ApiError, token_refused
from emulator.scenarios import rewritten, uncompressed

SIGNED_PATH = "/emulator/signed/"

_COUNT, _TOTAL, _OFFSET = (f"x-apify-pagination-{name}" for name in ("count", "total", "offset"))
_MOST_SIGNED = 1000


@dataclass(frozen=True)
class Refuse:
    """Answer with an error of the API itself."""

    error: ApiError

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await error_answer(self.error)(scope, receive, send)


def too_fast(limit: int) -> Refuse:
    """The answer to a caller who asked more often than `limit` times a second (Apify API, "Rate limiting")."""
    message = f"You have exceeded the rate limit of {limit} requests per second"
    return Refuse(ApiError(429, "rate-limit-exceeded", message, {"X-RateLimit-Limit": str(limit)}))


@dataclass(frozen=True)
class RevokeToken:
    """Refuse the token of this request, now and for as long as the emulator runs."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if token := sent_token(Request(scope)):
            scope["app"].state.platform.access.withdraw(token)
        await error_answer(token_refused())(scope, receive, send)


@dataclass(frozen=True)
class EmptyPage:
    """Leave a page of items, keys or requests empty although there is more: asking again gives it whole."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/items"):
            query = QueryParams(scope["query_string"])
            await rewritten(app, scope, receive, send, lambda headers, body: _emptied(body, query))
            return
        done = False

        async def empty(message: Message) -> None:
            nonlocal done
            if _is_page(message):
                headers = MutableHeaders(scope=message)
                headers[_COUNT] = "0"
                media_type = headers.get("content-type", "").partition(";")[0].strip()
                body = b"[]" if media_type == "application/json" else b""
                headers["content-length"] = str(len(body))
                await send(message)
                await send({"type": "http.response.body", "body": body})
                done = True
            elif not done:
                await send(message)

        await app(uncompressed(scope), receive, empty)


@dataclass(frozen=True)
class CountsBehind:
    """Report so many rows fewer than there are, in `itemCount`, in totals and in the count of rows looked at."""

    rows: int

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/items"):
            await rewritten(app, scope, receive, send, lambda headers, body: self._behind(body))
            return

        async def lag(message: Message) -> None:
            if _is_page(message):
                headers = MutableHeaders(scope=message)
                total = max(0, int(headers[_TOTAL]) - self.rows)
                headers[_TOTAL] = str(total)
                headers[_COUNT] = str(max(0, min(int(headers[_COUNT]), total - int(headers[_OFFSET]))))
            await send(message)

        await app(scope, receive, lag)

    def _behind(self, body: bytes) -> bytes:
        document = msgspec.json.decode(body)
        found = document.get("data", {})
        for name in {"itemCount", "cleanItemCount", "total"} & found.keys():
            found[name] = max(0, found[name] - self.rows)
        return msgspec.json.encode(document)


@dataclass(frozen=True)
class Redirect:
    """Send the reader of a record elsewhere (302), as Apify does with its storage hosts.

    Attributes:
        host: where to, such as `localhost`, under the port of the emulator; None stays on the same host. On another
            host a request that still brings an Authorization header is refused, as a storage host does.
    """

    host: str | None = None

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state
        code = secrets.token_urlsafe(12)
        if len(state.signed) >= _MOST_SIGNED:
            state.signed.clear()
        state.signed[code] = scope
        place = URL(state.platform.settings.base_url)
        place = place.replace(hostname=self.host) if self.host else place
        answer = Response(status_code=302, headers={"Location": f"{place}{SIGNED_PATH}{code}"})
        await answer(scope, receive, send)


async def follow_signed(scope: Scope, receive: Receive, send: Send, app: ASGIApp) -> None:
    """Answer at the place where a `Redirect` led: with what was asked for in the first place."""
    kept = scope["app"].state.signed.get(scope["path"].removeprefix(SIGNED_PATH))
    headers = dict(scope["headers"])
    own_host = urlsplit(scope["app"].state.platform.settings.base_url).netloc
    is_elsewhere = headers.get(b"host", b"").decode("latin-1") != own_host
    if kept is None:
        raise ApiError(404, "record-not-found", "There is nothing at this signed address.")
    if is_elsewhere and b"authorization" in headers:
        raise ApiError(400, "invalid-request", "Signed addresses of another host take no Authorization header.")
    await app({**kept, "method": scope["method"]}, receive, send)


def _is_page(message: Message) -> bool:
    """Whether items come after this; an error has none."""
    return bool(message["type"] == "http.response.start" and message["status"] < 400)


def _emptied(body: bytes, query: QueryParams) -> bytes:
    document = msgspec.json.decode(body)
    found: dict[str, Any] = document.get("data", {})
    if "items" in found:
        found["items"] = []
        for name in {"count"} & found.keys():
            found[name] = 0
        if "isTruncated" in found:  # keys go on after the key that this page began after; a space is before all keys
            found |= {"isTruncated": True, "nextExclusiveStartKey": query.get("exclusiveStartKey") or " "}
        elif "total" not in found:  # requests go on at the cursor that this page began at
            start = base64.urlsafe_b64encode(b'{"requestId":""}').decode()
            found["nextCursor"] = query.get("cursor") or start
    return msgspec.json.encode(document)

"""One call of the API: what handlers get, how they answer, and how a table of endpoints becomes routes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.access import Account
from emulator.documents import PAGE_LIMIT, Document
from emulator.errors import ApiError, token_missing
from emulator.platform import Platform
from emulator.query import Query

MAX_WAIT_SECONDS = 60.0
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


@dataclass(frozen=True)
class Call:
    """One request, its token already checked; `token` is None when it brought none."""

    request: Request
    platform: Platform
    token: str | None
    query: Query

    def path(self, name: str) -> str:
        """A parameter of the path, decoded."""
        return str(self.request.path_params[name])

    def wait_seconds(self) -> float:
        """How long `waitForFinish` asks to wait: at most 60 s, whatever number was sent."""
        return min(self.query.number("waitForFinish") or 0.0, MAX_WAIT_SECONDS)

    @property
    def account(self) -> Account:
        """Who asks; without a token, the owner of the emulator."""
        return self.platform.access.account(self.token)

    @property
    def is_read(self) -> bool:
        """Whether it only looks."""
        return self.request.method in {"GET", "HEAD"}

    def admitted(self, document: Document) -> Document:
        """The run or storage itself. Raises: ApiError 401 or 403 if the caller may not have it."""
        self.platform.access.admit(self.token, document, is_read=self.is_read)
        return document

    def owned(self, document: Document) -> Document:
        """The task, webhook or dispatch itself. Raises: ApiError 401 or 403 if it is not the caller's."""
        self.platform.access.admit(self.token, document, is_read=False)
        return document

    def need_token(self) -> None:
        """Raises: ApiError 401 if the request brought no token."""
        if self.token is None:
            raise token_missing()


Handler = Callable[[Call], Awaitable[Response]]
Find = Callable[[Call], Document]


@dataclass(frozen=True)
class Endpoint:
    """One path and its methods; `public` lets GET and HEAD do without a token, as far as `admitted` goes."""

    path: str
    methods: Mapping[str, Handler]
    public: bool = False


def data(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer `{"data": …}` of almost every endpoint."""
    return json_answer({"data": value}, status, headers)


def listed(query: Query, items: Sequence[object]) -> Document:
    """One page of what is at hand as a whole, in the shape of every list."""
    offset, desc = query.integer("offset") or 0, bool(query.flag("desc"))
    limit = min(query.integer("limit") or PAGE_LIMIT, PAGE_LIMIT)
    page = list(reversed(items) if desc else items)[offset : offset + limit]
    return {"total": len(items), "offset": offset, "limit": limit, "count": len(page), "desc": desc, "items": page}


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer without the envelope."""
    body = msgspec.json.encode(value)
    return Response(body, status, headers, media_type="application/json; charset=utf-8")


def error_answer(error: ApiError) -> Response:
    """The answer `{"error": {"type", "message"}}`."""
    return json_answer({"error": {"type": error.type, "message": error.message}}, error.status, error.headers)


def routes(platform: Platform, endpoints: Iterable[Endpoint]) -> list[Route]:
    """Starlette routes, tried in the given order."""
    return [
        Route(endpoint.path, _serve(platform, endpoint), methods=_METHODS, include_in_schema=False)
        for endpoint in endpoints
    ]


def _serve(platform: Platform, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        handler = endpoint.methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise _method_not_allowed(endpoint)
        call = Call(request, platform, platform.access.check(request), Query(request.query_params))
        if not (endpoint.public and call.is_read):
            call.need_token()
        return await handler(call)

    return serve


def _method_not_allowed(endpoint: Endpoint) -> ApiError:
    methods = ",".join(["OPTIONS", *endpoint.methods])
    message = f"This API end-point can only be accessed using the following HTTP methods: {methods}"
    return ApiError(405, "method-not-allowed", message, {"Allow": methods})

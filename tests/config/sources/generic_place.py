"""A generic source with a scripted platform at the other end of the wire."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from config.contracts.api import Patience
from config.contracts.run import Run
from config.sources.generic import Config, GenericSource
from workers.fetch.api import HttpApi, Session

TOKEN = "generic-token-0123456789"
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
DATE_SECONDS = 1795348800.0
#: Our own clock.
NOW = 1795400000.0
HOOK: dict[str, Any] = {"secrets": ["hook-secret-1"]}

Says = Callable[[web.Request], web.Response]


def source(options: Mapping[str, Any]) -> GenericSource:
    """One without an API, or one that is never asked."""
    return GenericSource("made", Config.model_validate({"webhook": HOOK, **options}), now=lambda: NOW)


@dataclass
class Generic:
    """Answers as told. `asked`: every request, as `path?query`; `tokens`: what stood in `Authorization` of each."""

    url: str
    session: Session
    asked: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    given: dict[str, Says] = field(default_factory=dict)

    def source(self, options: Mapping[str, Any], api: Mapping[str, Any] | None = None) -> tuple[GenericSource, HttpApi]:
        """A source of this platform, and its API, which asks once."""
        made = source({"api": {"url": f"{self.url}/v1", "token": TOKEN, **(api or {})}, **options})
        return made, HttpApi(self.session, replace(made.manners, patience=Patience(tries=1)))

    def says(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        """What a path below `/v1` is answered, whatever its query; one with a query only for that. `_` is `-`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        self.given[f"/v1{path}"] = lambda _: web.Response(body=raw, status=status, headers={"Date": DATE, **named})

    def lists(self, rows: Sequence[Any], *, most: int = 3) -> None:
        """The same list in every way there is, at `/offset`, `/page`, `/cursor`, `/link`, `/next` and `/all`, as
        `{"found": {"rows": …, "total": …}}`. most: rows the platform gives at once, whatever is asked for."""

        def give(of: Callable[[web.Request], tuple[int, int]], onward: str = "") -> Says:
            def answer(request: web.Request) -> web.Response:
                begin, count = of(request)
                end = min(begin + min(count, most if onward or request.path != "/v1/all" else count), len(rows))
                said: dict[str, Any] = {"found": {"rows": list(rows[begin:end]), "total": len(rows)}}
                headers = {"Date": DATE}
                if onward == "link" and end < len(rows):
                    headers["Link"] = f'<{self.url}/v1/link?from={end}>; rel="next", <{self.url}/v1/link>; rel="first"'
                elif onward:
                    said |= {"next": self._onward(onward, end) if end < len(rows) else None}
                return web.json_response(said, headers=headers)

            return answer

        def numbered(request: web.Request) -> tuple[int, int]:
            count = min(int(request.query.get("limit", most)), most)
            return (int(request.query["page"]) - 1) * count, count

        def begun(name: str) -> Callable[[web.Request], tuple[int, int]]:
            return lambda request: (
                int(request.query.get(name, "0").removeprefix("c")),
                int(request.query.get("limit", most)),
            )

        self.given["/v1/all"] = give(lambda _: (0, len(rows)))
        self.given["/v1/offset"] = give(begun("offset"))
        self.given["/v1/page"] = give(numbered)
        for way, name in (("cursor", "cursor"), ("link", "from"), ("next", "from")):
            self.given[f"/v1/{way}"] = give(begun(name), way)

    def _onward(self, way: str, row: int) -> str:
        return f"c{row}" if way == "cursor" else f"{self.url}/v1/next?from={row}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.tokens.append(request.headers.get("Authorization"))
        paths = (request.raw_path, request.raw_path.partition("?")[0])
        if says := next((self.given[path] for path in paths if path in self.given), None):
            return says(request)
        return web.json_response({"message": "not told"}, status=404)


def run(run_id: str = "r1", **fields: Any) -> Run:
    """One that has ended."""
    return Run(
        id=run_id, source="made", status="done", terminal=True, life="l", finished=0.0, account="", fields=fields
    )


@asynccontextmanager
async def generic(session: Session) -> AsyncIterator[Generic]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await place.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = Generic(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    try:
        yield place
    finally:
        await runner.cleanup()

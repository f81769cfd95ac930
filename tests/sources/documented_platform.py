"""Platforms of recipes, as far as `documented/<recipe>.json` has them: an API at one origin, files at another."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from aiohttp import web

from config.contracts.source import Source
from config.routes import load
from console.recipes import recipe
from tests.console.recipe_files import written

_DOCUMENTED = Path(__file__).parent / "documented"
#: When it answers, by its own clock.
DATE, DATE_SECONDS = "Sun, 22 Nov 2026 12:00:00 GMT", 1795348800.0
_ORIGIN = re.compile(r"^https?://[^/]+")


@dataclass(frozen=True)
class Webhook:
    """One webhook, before somebody signs it."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Platform:
    """Answers what is documented, and nothing else.

    Attributes:
        documented: the file. `{api}` and `{files}` in it are the two origins.
        authorization: what the API wants to see in that header.
        asked: every request at the API, as path and query.
        leaks: paths at which the files' origin was shown an `Authorization` header. There must be none.
    """

    documented: str
    authorization: str
    api: str = ""
    files: str = ""
    asked: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        text = self.documented.replace("{api}", self.api).replace("{files}", self.files)
        found: dict[str, Any] = json.loads(text)
        return found

    def webhook(self, name: str) -> Webhook:
        return _webhook(self.told[name])

    def others(self) -> list[Webhook]:
        return [_webhook(one) for one in self.told["others"]]

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        if request.headers.get("Authorization") != self.authorization:
            return web.json_response({"detail": "who is it?"}, status=401)
        return _found(self.told["answers"], request)

    async def file(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            self.leaks.append(request.raw_path)
        return _found(self.told["files"], request)


def _webhook(shape: Mapping[str, Any]) -> Webhook:
    return Webhook(shape["headers"], json.dumps(shape["body"]).encode())


def _found(answers: Mapping[str, Any], request: web.Request) -> web.Response:
    """What is documented for a path and its query, however that is ordered."""
    answer = next((said for path, said in answers.items() if _same(path, request.raw_path)), None)
    if answer is None:
        return web.json_response({"detail": f"not documented: {request.raw_path}"}, status=404)
    body = answer["text"] if "text" in answer else json.dumps(answer["body"])
    kind = answer.get("type", "text/plain" if "text" in answer else "application/json")
    headers = {"Content-Type": kind, "Date": DATE, **answer.get("headers", {})}
    return web.Response(body=body.encode(), status=answer.get("status", 200), headers=headers)


def _same(path: str, other: str) -> bool:
    one, two = urlsplit(path), urlsplit(other)
    return one.path == two.path and sorted(parse_qsl(one.query)) == sorted(parse_qsl(two.query))


@asynccontextmanager
async def served(name: str, authorization: str) -> AsyncIterator[Platform]:
    """The platform of a recipe, on two free ports."""
    text = (_DOCUMENTED / f"{name}.json").read_text(encoding="utf-8")
    platform = Platform(text, authorization)
    async with AsyncExitStack() as stack:
        platform.api = await stack.enter_async_context(_listening(platform.answer))
        platform.files = await stack.enter_async_context(_listening(platform.file))
        yield platform


@asynccontextmanager
async def _listening(answer: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def source_of(name: str, variables: Mapping[str, str], api: str, files: str) -> Source:
    """The source of a recipe as `runrelay init` writes it; only the origin of its API is another."""
    tree = yaml.safe_load(recipe(name))
    ((called, options),) = tree["sources"].items()
    if options["type"] == "ittybit":
        options |= {"api_url": api, "file_origins": [files]}
    elif "api" in options:
        url = re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], options["api"]["url"])
        options["api"] |= {"url": _ORIGIN.sub(api, url), "file_origins": [files]}
    return load(written(name, json.dumps(tree)), variables).sources[called]

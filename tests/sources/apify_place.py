"""A scripted Apify: answers in the shapes of its API reference, about runs that a test puts there."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from aiohttp import web

from config.contracts.source import Source
from tests.sources.serving import SECRET, TOKEN, Account, Left, Options, connected, listening
from workers.testing.source_contract import Webhook

OVER = {"SUCCEEDED", "FAILED", "TIMED-OUT", "ABORTED"}
_FIRST_FINISH = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class ApifyPlace(Account):
    """One account. `api_url`: where `answer` is served."""

    @property
    def options(self) -> Options:
        webhook = {"secrets": [SECRET]}
        return {"type": "apify", "token": TOKEN, "api_url": self.api_url, "webhook": webhook, "settle": {"quiet": "0s"}}

    @cached_property
    def source(self) -> Source:
        return connected("scrapers", self.options)

    def webhook(
        self, run_id: str, kind: str, *, number: int = 1, age: float = 0.0, secret: str | None = None
    ) -> Webhook:
        """The default payload, and the header of the dispatch ("Webhook actions"); it does not say when it was sent."""
        body = {"eventType": kind, "eventData": {"actorId": "a1", "actorRunId": run_id}, "resource": {"id": run_id}}
        headers = {"x-apify-webhook-dispatch-id": f"dispatch{number}", "content-type": "application/json"}
        return Webhook(json.dumps(body).encode(), headers, secret or SECRET)

    def leaks(self) -> Sequence[str]:
        return ()

    async def answer(self, request: web.Request) -> web.Response:
        if said_no := self.refusals.answer({"error": {"type": "told-to", "message": "as the test says"}}):
            return said_no
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "token-not-valid")
        match request.path.removeprefix("/v2/").split("/"):
            case ["users", "me"]:
                return _data({"id": "me"})
            case [_, ident, *below] if ident in self.runs:
                return self._below(request, ident, below)
        return _error(404, "record-not-found")

    def _below(self, request: web.Request, ident: str, below: list[str]) -> web.Response:
        """A run's storages have the run's own id."""
        left = self.runs[ident]
        match below:
            case [] if request.path.startswith("/v2/datasets/"):
                return _data({"id": ident, "itemCount": len(left.items)})
            case []:
                return _data(_run(ident, left))
            case ["items"]:
                return _items(left, int(request.query["offset"]), int(request.query["limit"]))
            case ["keys"]:
                names = [{"key": name, "size": len(body)} for name, body in left.files.items()]
                return _data({"items": names, "count": len(names), "limit": 1000, "isTruncated": False})
            case ["records", name] if name in left.files and not self.expired:
                return web.Response(body=left.files[name], content_type="application/octet-stream")
        return _error(404, "record-not-found")


@asynccontextmanager
async def apify_place() -> AsyncIterator[ApifyPlace]:
    place = ApifyPlace()
    async with listening(place.answer) as place.api_url:
        yield place


def _run(ident: str, left: Left) -> dict[str, Any]:
    finish = (_FIRST_FINISH + timedelta(hours=left.finishes)).isoformat(timespec="milliseconds")
    return {
        "id": ident,
        "actId": "",
        "userId": "me",
        "status": left.status,
        "startedAt": "2026-11-20T11:00:00.000Z",
        "finishedAt": finish.replace("+00:00", "Z") if left.status in OVER else None,
        "defaultDatasetId": ident,
        "defaultKeyValueStoreId": ident,
    }


def _items(left: Left, offset: int, limit: int) -> web.Response:
    page = left.items[offset : offset + limit]
    body = "".join(json.dumps(item) + "\n" for item in page)
    headers = {
        "Content-Type": "application/jsonl; charset=utf-8",
        "X-Apify-Pagination-Count": str(len(page)),
        "X-Apify-Pagination-Total": str(len(left.items)),
    }
    return web.Response(body=body.encode(), headers=headers)


def _data(data: object) -> web.Response:
    return web.json_response({"data": data})


def _error(status: int, kind: str) -> web.Response:
    return web.json_response({"error": {"type": kind, "message": "no"}}, status=status)

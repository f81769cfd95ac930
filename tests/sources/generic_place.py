"""A small platform that only the file describes: signed webhooks, an API with a cursor, files at another origin."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiohttp import web

from config.contracts.source import Source
from tests.sources.serving import SECRET, TOKEN, Account, Left, Options, connected, listening, signature
from workers.testing.source_contract import Webhook

_FIRST_FINISH = 1_795_348_800


@dataclass
class GenericPlace(Account):
    """One account. `api_url`, `files_url`: where `answer` and `file` are served; `own_files`: the API serves those."""

    files_url: str = ""
    own_files: bool = False
    leaked: list[str] = field(default_factory=list)

    @property
    def options(self) -> Options:
        verify = {
            "scheme": "hmac",
            "header": "X-Signature",
            "prefix": "sha256=",
            "signed": "{x-timestamp}.{body}",
            "timestamp": "x-timestamp",
            "tolerance": "2m",
        }
        return {
            "type": "generic",
            "webhook": {"verify": verify, "secrets": [SECRET]},
            "event": {
                "id": "job.id",
                "kind": "type",
                "ended": ["job.done", "job.failed"],
                "delivery": "header:x-delivery",
            },
            "api": {
                "url": f"{self.api_url}/v1",
                "token": TOKEN,
                "token_header": "x-api-key",
                "token_prefix": "",
                "file_origins": [self.files_url],
            },
            "run": {
                "fetch": "/jobs/{id}",
                "at": "job",
                "status": "state",
                "succeeded": "done",
                "failed": ["failed", "stopped"],
                "finished": "ended_at",
            },
            "items": {
                "fetch": "/jobs/{id}/rows",
                "at": "rows",
                "paging": {"style": "cursor", "param": "from", "next": "next", "limit": "limit", "size": 10},
            },
            "files": {"at": "files", "url": "url", "name": "name", "size": "bytes"},
        }

    @cached_property
    def source(self) -> Source:
        return connected("jobs", self.options)

    def webhook(
        self, run_id: str, kind: str, *, number: int = 1, age: float = 0.0, secret: str | None = None
    ) -> Webhook:
        body = json.dumps({"type": kind, "job": {"id": run_id}}).encode()
        sent = str(int(time.time() - age))
        signed = signature((secret or SECRET).encode(), f"{sent}.".encode() + body).hex()
        headers = {"x-signature": f"sha256={signed}", "x-timestamp": sent, "x-delivery": f"delivery{number}"}
        return Webhook(body, headers)

    def leaks(self) -> Sequence[str]:
        return self.leaked

    async def answer(self, request: web.Request) -> web.Response:
        if said_no := self.refusals.answer({"message": "as the test says"}):
            return said_no
        if request.headers.get("x-api-key") != TOKEN:
            return web.json_response({"message": "who is it?"}, status=401)
        match request.path.split("/"):
            case ["", "v1", "jobs", ident] if ident in self.runs:
                return web.json_response({"job": self._job(ident, self.runs[ident])})
            case ["", "v1", "jobs", ident, "rows"] if ident in self.runs:
                return _rows(self.runs[ident], int(request.query.get("from", 0)), int(request.query["limit"]))
            case ["", "v1", "files", ident, name] if self.own_files:
                return self._file(ident, name)
        return web.json_response({"message": "no such thing"}, status=404)

    async def file(self, request: web.Request) -> web.Response:
        if "x-api-key" in request.headers:
            self.leaked.append(request.path)
        _, ident, name = request.path.split("/")
        return self._file(ident, name)

    def _file(self, ident: str, name: str) -> web.Response:
        if self.expired:
            return web.Response(status=403, text="Request has expired")
        return web.Response(body=self.runs[ident].files[name], content_type="application/octet-stream")

    def _job(self, ident: str, left: Left) -> dict[str, Any]:
        over = left.status in {"done", "failed", "stopped"}
        origin = f"{self.api_url}/v1/files" if self.own_files else self.files_url
        files = [
            {"name": name, "url": f"{origin}/{ident}/{name}", "bytes": len(body)} for name, body in left.files.items()
        ]
        ended = _FIRST_FINISH + 3600 * left.finishes if over else None
        return {"id": ident, "state": left.status, "ended_at": ended, "files": files}


@asynccontextmanager
async def generic_place(*, own_files: bool = False) -> AsyncIterator[GenericPlace]:
    place = GenericPlace(own_files=own_files)
    async with listening(place.answer) as place.api_url, listening(place.file) as place.files_url:
        yield place


def _rows(left: Left, begin: int, limit: int) -> web.Response:
    page, end = left.items[begin : begin + limit], begin + limit
    return web.json_response({"rows": page, "next": end if end < len(left.items) else None})

"""A render farm: signed webhooks say that a render has ended; its frames are items, its films are files."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import msgspec
from pydantic import Field, SecretStr

from config.contracts.api import Answer, Api, Manners
from config.contracts.document import Document
from config.contracts.errors import Forbidden, NotFound, Permanent, Refused, Transient, Unauthorized, WorkError
from config.contracts.event import Event, Ignored, Test, event_id
from config.contracts.kinds import Kind
from config.contracts.reasons import Reason
from config.contracts.run import Run
from config.contracts.source import AboutSource, Count, Key, Keys, Page, Settle
from config.webhooks.guard import Guard, Guarded
from config.webhooks.options import Options, Webhook
from config.wire import files
from config.wire.answers import SMALL, clock, retry_after
from config.wire.bare import Bare
from config.wire.moments import seconds
from config.wire.options import ApiUrl, FileOrigins

ABOUT = AboutSource(
    platform="a render farm",
    promise="every frame and film of a render that has ended",
    tested="a stand-in",
    example="""
sources:
  farm:
    type: renders
    url: https://farm.example.com
    token: ${FARM_TOKEN}
    webhook: {verify: standard_webhooks, secrets: ["${FARM_WEBHOOK_SECRET}"]}
""",
)
T = TypeVar("T")
RENDER_ID = r"^[A-Za-z0-9]{1,64}\Z"


class Config(Options):
    """One account at the farm."""

    url: ApiUrl = Field(description="Its API.")
    token: SecretStr = Field(description="API key; it only ever travels to `url`.")
    webhook: Webhook | None = Field(None, description="How webhooks are recognised.")
    file_origins: FileOrigins = ()


class Said(msgspec.Struct):
    """A webhook."""

    type: str
    render: Annotated[str, msgspec.Meta(pattern=RENDER_ID)]


class Render(msgspec.Struct):
    """`GET /renders/{id}`."""

    id: str
    state: str
    ended: str | None = None


class Frames(msgspec.Struct):
    """`GET /renders/{id}/frames`."""

    frames: list[msgspec.Raw]
    total: int


def connect(name: str, config: Config) -> "RenderSource":
    """The source a section of runrelay.yaml describes."""
    return RenderSource(name, config)


class RenderSource(Guarded, Bare):
    """See `config.contracts.source.Source`."""

    success = "done"
    settle = Settle(quiet=0.0)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.manners = Manners(
            base_url=str(config.url).rstrip("/"),
            token=config.token.get_secret_value(),
            verdict=verdict,
            file_origins=tuple(map(str, config.file_origins)),
        )
        self.guard = Guard(config.webhook)

    # the door

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        said = read_webhook(body)
        if said.type == "render.started":
            return Ignored(said.type)
        ident = event_id(self.name, headers.get("webhook-id"), body)
        return Event(id=ident, source=self.name, run_id=said.render, kind=said.type, body=body)

    # the API

    async def run(self, api: Api, run_id: str, /, said: bytes = b"") -> Run:
        answer = await api.get(f"/renders/{run_id}", most=SMALL)
        render, fields = shaped(answer, Render), shaped(answer, dict[str, Any])
        ended = render.ended or "" if render.state in {"done", "failed"} else ""
        return Run(
            id=render.id,
            source=self.name,
            status=render.state,
            terminal=bool(ended),
            succeeded=bool(ended) and render.state == self.success,
            life=ended,
            finished=seconds(ended) if ended else 0.0,
            account="",
            datasets={"default": render.id},
            stores={"default": render.id},
            fields=fields,
        )

    async def page(self, api: Api, run: Run, dataset: str, /, *, offset: int, limit: int, most: int) -> Page:
        answer = await api.get(f"/renders/{dataset}/frames", {"offset": offset, "limit": limit}, most=most)
        found = shaped(answer, Frames)
        lines = b"".join(msgspec.json.format(bytes(frame), indent=-1) + b"\n" for frame in found.frames)
        count = len(found.frames)
        return Page(lines=lines, count=count, scanned=count, total=found.total, at=clock(answer.headers))

    async def count(self, api: Api, run: Run, dataset: str, /) -> Count:
        answer = await api.get(f"/renders/{dataset}/frames", {"offset": 0, "limit": 0}, most=SMALL)
        return Count(rows=shaped(answer, Frames).total, at=clock(answer.headers))

    async def keys(self, api: Api, run: Run, store: str, /, *, after: str | None) -> Keys:
        """All on one page: a render has few films, and names them itself."""
        films = run.fields.get("films", {})
        found = tuple(Key(store=store, key=name, size=None, url=url) for name, url in films.items())
        return Keys(keys=found, count=len(found), after=None, at=0.0)

    @asynccontextmanager
    async def record(self, api: Api, run: Run, key: Key, /) -> AsyncIterator[Document]:
        async with api.download(key.url, files.verdict) as answer:
            kind = answer.headers.get("content-type", "application/octet-stream")
            yield Document(key=key.key, content_type=kind, size=key.size, chunks=answer.chunks)


def read_webhook(body: bytes) -> Said:
    """Raises Refused: what the farm is told, which must not repeat what it sent."""
    try:
        return msgspec.json.decode(body, type=Said)
    except msgspec.ValidationError:
        raise Refused(Kind.EVENT_INVALID, "the webhook names no render") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(Kind.REQUEST_INVALID, "the body is not JSON in UTF-8") from None


def shaped(answer: Answer, shape: type[T]) -> T:
    """Raises Transient: whatever else comes is a proxy's page, or half an answer."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Transient(Reason.SOURCE_UNAVAILABLE, "the farm's answer is not what it should be") from None


def verdict(status: int, headers: Mapping[str, str], body: bytes) -> WorkError:
    """What a refused answer means. `body` may say more; it is the farm's, and may be anything."""
    said = f"the farm says HTTP {status}"
    match status:
        case 401:
            return Unauthorized(Reason.SOURCE_TOKEN_REFUSED, f"{said}: set `token` to a key that is good")
        case 402:
            return Unauthorized(Reason.SOURCE_UNPAID, f"{said}: pay the bill")
        case 403:
            return Forbidden(Reason.SOURCE_TOKEN_REFUSED, said)
        case 404 | 410:
            return NotFound(Reason.DATA_EXPIRED, said)
    if status >= 500 or status in {408, 429}:
        return Transient(Reason.SOURCE_UNAVAILABLE, said, retry_after=retry_after(headers))
    return Permanent(Reason.SOURCE_REFUSED, said)

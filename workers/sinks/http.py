"""Posts batches of items as JSON, and documents as they are, to a URL. At least once, each with an id.

A request that is sent again has the same `Idempotency-Key` and the same bytes: a receiver that remembers the key takes
everything exactly once. With `sign` every request is signed as Standard Webhooks says (standardwebhooks.com).
"""

import base64
import binascii
import hashlib
import hmac
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from pydantic import AfterValidator, BaseModel, Field, HttpUrl, SecretStr
from yarl import URL

from config.addresses import is_underneath
from config.contracts.document import Document
from config.contracts.errors import Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Shipment, Surroundings, Taken, Writer
from config.units import Duration, Size
from workers.fence import TrustedNames
from workers.staging import disk_verdict

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
#: What the envelope of a batch carries.
NAMES = ("actor", "task")

_PIECE = 1 << 20
_LONGEST_WAIT = 3600.0
#: 409: a receiver that still works on the same Idempotency-Key says so.
_AGAIN = frozenset({408, 409, 425, 429})
_OF_ITEM = frozenset({400, 413, 422})
_PLAIN = re.compile(r"[A-Za-z0-9:_-]{1,64}", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]{0,8192}", re.ASCII)
_OURS = re.compile(
    r"content-.*|host|connection|transfer-encoding|expect|te|trailer|upgrade|idempotency-key|webhook-.*|x-runrelay-.*"
)


def _usable_secret(secret: SecretStr) -> SecretStr:
    _signing_key(secret)
    return secret


def _usable_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_TEXT.fullmatch(value.get_secret_value()):
            raise ValueError("a header's name is letters, digits and hyphens, its value printable ASCII")
        if _OURS.fullmatch(name.lower()):
            raise ValueError(f"the header {name} is set by Runrelay itself")
    return headers


def _usable_url(url: HttpUrl) -> HttpUrl:
    if is_underneath(url.host or ""):
        raise ValueError("link-local and metadata addresses are never posted to")
    return url


class Config(BaseModel, extra="forbid", frozen=True):
    """Options of an HTTP sink."""

    url: Annotated[HttpUrl, AfterValidator(_usable_url)] = Field(description="Where every request goes.")
    sign: Annotated[SecretStr, AfterValidator(_usable_secret)] | None = Field(
        None, description="Secret of Standard Webhooks: `whsec_` and base64, or any text. Unsigned without."
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_usable_headers)] = Field(
        {}, description="Sent with every request, for instance `Authorization`."
    )
    timeout: Duration = Field(30.0, gt=0, le=90, description="For one request and its answer.")
    max_body: Size = Field(16 * 1024**2, gt=0, description="A request with a larger body is not sent.")


class Target(BaseModel, extra="forbid", frozen=True):
    """A target has no options of its own."""


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["HttpSink"]:
    """The spool holds documents that are larger than a mebibyte while they are signed and sent."""
    around.spool.mkdir(parents=True, exist_ok=True)
    session = ClientSession(
        connector=TCPConnector(resolver=TrustedNames(), limit=50),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=config.timeout),
        headers={"User-Agent": f"Runrelay/{_version()}", "Accept-Encoding": "identity"},
        trust_env=False,
    )
    async with session:
        yield HttpSink(session, config, around.spool)


class HttpSink:
    """One URL."""

    def __init__(self, session: ClientSession, config: Config, spool: Path) -> None:
        self.session, self.config, self.spool = session, config, spool
        self.url = URL(str(config.url), encoded=True)
        self.key = _signing_key(config.sign) if config.sign else None
        self.headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        self.secrets = _secrets(config, self.url)

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        yield _HttpWriter(self, shipment, position)

    async def post(self, id: str, body: IO[bytes], headers: Mapping[str, str]) -> int:
        """Send one request; return the size of its body once the far side has answered 2xx, else raise its verdict."""
        size = body.seek(0, 2)
        if size > self.config.max_body:
            raise Permanent(Reason.ITEM_REFUSED, f"{size} bytes are more than max_body ({self.config.max_body})")
        sent = {**self.headers, **headers, **self._identity(id, body), "Content-Length": str(size)}
        with _trouble():
            async with self.session.post(self.url, data=_pieces(body), headers=sent, allow_redirects=False) as answer:
                start = await _start(answer)
        if not 200 <= answer.status < 300:
            raise _verdict(answer, self._said(start))
        return size

    def _identity(self, id: str, body: IO[bytes]) -> dict[str, str]:
        moment = str(int(time.time()))
        identity = {"Idempotency-Key": id, "webhook-id": id, "webhook-timestamp": moment}
        if self.key is not None:
            identity["webhook-signature"] = _signature(self.key, f"{id}.{moment}.".encode(), body)
        return identity

    def _said(self, start: bytes) -> str:
        """The first kilobyte of an answer, on one line and without our secrets, should it repeat them."""
        text = start.decode(errors="replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class _HttpWriter:
    """One stream. The far side keeps no place to go on from: the ledger's index of the batch is all that is needed."""

    def __init__(self, sink: HttpSink, shipment: Shipment, position: dict[str, Any] | None) -> None:
        self.sink, self.shipment, self.position = sink, shipment, position

    async def items(self, batch: Batch) -> Taken:
        body, rows = _envelope(self.shipment, batch)
        size = await self.sink.post(
            self._id(str(batch.index)), BytesIO(body), {**self._context(), "Content-Type": "application/json"}
        )
        self.position = {"batches": batch.index + 1}
        return Taken(rows=rows, out=1, bytes=size, position=self.position)

    async def document(self, document: Document) -> Taken:
        # Record keys may be longer than an id may be.
        id = self._id(hashlib.sha256(document.key.encode()).hexdigest()[:32])
        headers = {**self._context(), **_described(document)}
        with tempfile.SpooledTemporaryFile(max_size=_PIECE, dir=str(self.sink.spool)) as body:
            await self._gather(document, body)
            size = await self.sink.post(id, body, headers)
        self.position = self.position or {}
        return Taken(rows=1, out=1, bytes=size, position=self.position)

    async def publish(self) -> Taken:
        return Taken(rows=0, out=0, bytes=0, position=self.position)

    async def _gather(self, document: Document, body: IO[bytes]) -> None:
        most = self.sink.config.max_body
        async for chunk in document.chunks:
            try:
                body.write(chunk)
            except OSError as exc:
                raise disk_verdict(exc) from exc
            if body.tell() > most:
                raise Permanent(Reason.ITEM_REFUSED, f"more than max_body ({most} bytes): {document.key!a}")

    def _id(self, part: str) -> str:
        """At most 255 characters that are safe in a header, the same on every try."""
        stream = self.shipment.stream
        if not _PLAIN.fullmatch(stream):
            stream = f"{stream.partition(':')[0]}:{hashlib.sha256(stream.encode()).hexdigest()[:32]}"
        return f"{self.shipment.delivery.id}:{stream}:{part}"

    def _context(self) -> dict[str, str]:
        delivery, run = self.shipment.delivery, self.shipment.run
        facts = {
            "Delivery": delivery.id,
            "Generation": str(delivery.generation),
            "Route": delivery.route,
            "Target": delivery.target,
            "Stream": self.shipment.stream,
            "Source": run.source,
            "Run-Id": run.id,
            "Run-Status": run.status,
        }
        return {f"X-Runrelay-{name}": _header(value) for name, value in facts.items()}


def _envelope(shipment: Shipment, batch: Batch) -> tuple[bytes, int]:
    """The JSON body of a batch and the number of items in it. Only facts that are the same on every try: the run is the
    one kept when the delivery was planned."""
    delivery, run = shipment.delivery, shipment.run
    rows = batch.lines.count(b"\n")
    head = {
        "kind": shipment.stream.partition(":")[0],
        "delivery": delivery.id,
        "generation": delivery.generation,
        "route": delivery.route,
        "target": delivery.target,
        "stream": shipment.stream,
        "run": {
            "id": run.id,
            "source": run.source,
            "status": run.status,
            "finishedAt": run.life,
            "origin": run.origin,
            "actorId": run.actor_id,
            "actor": run.actor,
            "taskId": run.task_id,
            "task": run.task,
        },
        "batch": {"index": batch.index, "offset": batch.offset, "count": rows},
    }
    # An item is JSON on one line, and a raw newline cannot stand inside JSON text: commas make a list of lines.
    items = batch.lines.removesuffix(b"\n").replace(b"\n", b",")
    return b"".join([msgspec.json.encode(head)[:-1], b',"items":[', items, b"]}"]), rows


def _described(document: Document) -> dict[str, str]:
    known = document.content_type and _HEADER_TEXT.fullmatch(document.content_type)
    kind = document.content_type if known else "application/octet-stream"
    return {"Content-Type": kind, "X-Runrelay-Record-Key": _header(document.key)}


def _header(value: str) -> str:
    """Printable ASCII as it is; everything else, and `%`, percent-encoded."""
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}"
        for byte in value.encode("utf-8", "replace")
    ).strip()


def _signing_key(secret: SecretStr) -> bytes:
    """`whsec_` introduces base64, as Standard Webhooks writes its secrets; any other text is the key itself."""
    text = secret.get_secret_value()
    if not text:
        raise ValueError("an empty secret signs nothing")
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix("whsec_") + "==", validate=False)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("what follows whsec_ is not base64")
    return key


def _signature(key: bytes, head: bytes, body: IO[bytes]) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body. Our own lines: bodies need not be text here."""
    mac = hmac.new(key, head, hashlib.sha256)
    body.seek(0)
    while piece := body.read(_PIECE):
        mac.update(piece)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


async def _pieces(body: IO[bytes]) -> AsyncIterator[bytes]:
    body.seek(0)
    while piece := body.read(_PIECE // 16):
        yield piece


async def _start(answer: ClientResponse) -> bytes:
    """At most a kilobyte of an answer; what follows is not read."""
    start = b""
    while len(start) < 1024 and (piece := await answer.content.read(1024 - len(start))):
        start += piece
    return start


@contextmanager
def _trouble() -> Iterator[None]:
    """No answer, or none in time, is worth another try. The message names no URL: a URL may be a secret."""
    try:
        yield
    except (ClientError, TimeoutError, OSError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
        raise Transient(Reason.TARGET_UNAVAILABLE, f"no answer: {why}") from exc


def _verdict(answer: ClientResponse, said: str) -> WorkError:
    """What happens next after an answer that is not 2xx."""
    status, detail = answer.status, f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status}"
    if status in {401, 403}:
        return Unauthorized(Reason.TOKEN_REFUSED, detail)
    if status in _AGAIN or status >= 500:
        return Transient(Reason.TARGET_UNAVAILABLE, detail, retry_after=_retry_after(answer.headers))
    if status in _OF_ITEM:
        return Permanent(Reason.ITEM_REFUSED, detail)
    if 300 <= status < 400:
        where = _host(answer.headers.get("Location", ""))
        return Permanent(Reason.TARGET_REFUSED, f"HTTP {status} to {where}: redirects are not followed, mend `url`")
    return Permanent(Reason.TARGET_REFUSED, detail)


def _host(location: str) -> str:
    """Where a redirect leads; not its path, which may be somebody's secret."""
    try:
        return ascii(urlsplit(location).hostname) if "//" in location else "another path of the same host"
    except ValueError:
        return "nowhere"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, at most an hour, from the number or the date the far side wrote; None if it wrote neither."""
    written = headers.get("Retry-After", "").strip()
    try:
        wait = float(written) if written.isdecimal() else _until(parsedate_to_datetime(written))
    except (ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _until(moment: datetime) -> float:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _secrets(config: Config, url: URL) -> list[str]:
    """Everything an answer must not carry into a log: our secrets, and the parts of a URL that look like one."""
    told = [value.get_secret_value() for value in config.headers.values()]
    told += [word for value in told for word in value.split()[1:]]  # `Bearer <token>`: the token alone, too
    if config.sign:
        told.append(config.sign.get_secret_value())
    told += [url.password or "", *(part for part in url.parts if len(part) >= 16), *url.query.values()]
    return sorted((word for word in told if len(word) >= 4), key=len, reverse=True)


def _version() -> str:
    try:
        return version("runrelay")
    except PackageNotFoundError:
        return "dev"

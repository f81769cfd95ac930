"""Posts items, batches of them, runs or documents to a URL. At least once, each with an id.

A request that is sent again has the same `Idempotency-Key` and the same bytes: a receiver that remembers the key takes
everything exactly once. With `sign` every request is signed as Standard Webhooks says (standardwebhooks.com), by each
of several secrets while one is replaced.

A batch goes as an envelope, an item, a record or a run as it is; `body` makes something else of them. A receiver that
refuses an item (400, 413, 422) loses that item and no other with `per: item`, or with `bisect`. After 410 the target is
paused.
"""

import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from pydantic import BaseModel
from yarl import URL

from config.contracts.document import Glimpse
from config.contracts.errors import Permanent, Transient
from config.contracts.reasons import Reason
from config.contracts.sink import About, Batch, Shipment, Surroundings, Writer
from workers.fence import TrustedNames
from workers.sinks._http_answers import hung_up, trouble, verdict
from workers.sinks._http_bodies import packed, pieces
from workers.sinks._http_options import Body, Config, Target
from workers.sinks._http_requests import Requests
from workers.sinks._http_signing import signatures, signing_key
from workers.sinks._http_tls import reach, tls_context
from workers.sinks._http_writer import HttpWriter
from workers.sinks._shown import NOW, document, lines, row

__all__ = ["ABOUT", "ALERTS", "NAMES", "TAKES", "WHOLE", "Body", "Config", "HttpSink", "Target", "connect", "preview"]

TAKES = frozenset({"items", "records", "requests", "run", "log"})
WHOLE = False
ALERTS = True
#: What the envelope of a batch carries.
NAMES = ("actor", "task")
ABOUT = About(
    promise="at least once, with a stable id; exactly once if the receiver remembers `webhook-id`",
    tested="a receiver of aiohttp, over TLS with certificates of both sides; signatures with standardwebhooks 1.1",
    example="""\
sinks:
  crm:
    type: http
    url: "https://crm.example.com/hooks/leads"
    sign: "${CRM_SECRET}"
    rate: 5/s
routes:
  - name: leads
    to: [{sink: crm, per: item, body: {id: "{{ item.id }}", run: "{{ run.id }}"}}]
""",
)


#: Characters of a part of a path that may well be a secret.
_LIKE_A_SECRET = 16


@asynccontextmanager
async def connect(config: Config, around: Surroundings) -> AsyncIterator["HttpSink"]:
    """The spool holds bodies that are larger than a mebibyte while they are packed, signed and sent.

    Raises Unauthorized if `ca`, `cert` or `key` cannot be used.
    """
    around.spool.mkdir(parents=True, exist_ok=True)
    context = tls_context(config.ca, config.cert, config.key)
    session = ClientSession(
        connector=TCPConnector(resolver=TrustedNames(), limit=50, ssl=context or True),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=config.timeout),
        headers={"User-Agent": f"Runrelay/{_version()}", "Accept-Encoding": "identity"},
        trust_env=False,
    )
    async with session:
        yield HttpSink(session, config, around, context)


def preview(config: Config, shipment: Shipment, what: Batch | Glimpse) -> Iterator[str]:
    """Each request: where it goes, with which headers and which body."""
    made = Requests(shipment)
    for request in [made.of_document(what)] if isinstance(what, Glimpse) else made.of(what):
        identity = identity_of(request.id, NOW, "(signed)" if config.sign else "")
        yield f"{config.method} {_without_secrets(URL(str(config.url), encoded=True))}"
        yield row({**dict.fromkeys(config.headers, "***"), **request.headers, **_coding(config), **identity})
        if isinstance(what, Glimpse) and request.body is None:
            yield from document(what)
        else:
            yield from lines(request.body or b"")


class HttpSink:
    """One URL."""

    def __init__(
        self, session: ClientSession, config: Config, around: Surroundings, context: ssl.SSLContext | None
    ) -> None:
        self.session, self.config, self.around, self.context = session, config, around, context
        self.url = URL(str(config.url), encoded=True)
        self.keys = [signing_key(secret) for secret in config.sign]
        self.headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        self.secrets = _secrets(config, self.url)

    @asynccontextmanager
    async def open(self, shipment: Shipment, position: dict[str, Any] | None) -> AsyncIterator[Writer]:
        async def paced(id: str, body: IO[bytes], headers: Mapping[str, str]) -> int:
            if self.config.rate is not None:
                await self.around.pace(shipment.delivery.sink, self.config.rate)
            return await self.post(id, body, headers)

        yield HttpWriter(paced, shipment, position, spool=self.around.spool, max_body=self.config.max_body)

    async def check(self, options: BaseModel) -> None:
        """Whether it can be connected to. What it would answer to a request is not known: any would be a delivery."""
        await reach(self.url, self.context, self.config.timeout)

    async def post(self, id: str, body: IO[bytes], headers: Mapping[str, str]) -> int:
        """Send one request; return the size of its body as sent once the far side has answered 2xx, else raise its
        verdict."""
        size = body.seek(0, 2)
        if size > self.config.max_body:
            raise Permanent(Reason.ITEM_REFUSED, f"{size} bytes are more than max_body ({self.config.max_body})")
        # What is signed is the body before it is packed: that is what a receiver's framework hands to its code, and the
        # libraries of Standard Webhooks verify text.
        identity = self._identity(id, body)
        async with packed(body, self.config.compress, self.around.spool) as load:
            return await self._send(load, {**self.headers, **headers, **identity})

    async def _send(self, body: IO[bytes], headers: Mapping[str, str]) -> int:
        size = body.seek(0, 2)
        sent = {**headers, **_coding(self.config), "Content-Length": str(size)}
        request = self.session.request(
            self.config.method, self.url, data=pieces(body), headers=sent, allow_redirects=False
        )
        try:
            with trouble():
                async with request as answer:
                    start = await _start(answer)
        except Transient as error:
            if self.url.scheme == "https" and hung_up(error):
                await reach(self.url, self.context, self.config.timeout)
            raise
        if not 200 <= answer.status < 300:
            raise verdict(answer, self._said(start))
        return size

    def _identity(self, id: str, body: IO[bytes]) -> dict[str, str]:
        moment = str(int(time.time()))
        signed = signatures(self.keys, f"{id}.{moment}.".encode(), body) if self.keys else ""
        return identity_of(id, moment, signed)

    def _said(self, start: bytes) -> str:
        """The first kilobyte of an answer, on one line and without our secrets, should it repeat them."""
        text = start.decode(errors="replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def identity_of(id: str, moment: str, signature: str) -> dict[str, str]:
    """The headers by which a receiver knows a request again, and that it is ours; no signature: none."""
    identity = {"Idempotency-Key": id, "webhook-id": id, "webhook-timestamp": moment}
    return {**identity, "webhook-signature": signature} if signature else identity


def _coding(config: Config) -> dict[str, str]:
    return {} if config.compress == "none" else {"Content-Encoding": config.compress}


async def _start(answer: ClientResponse) -> bytes:
    """At most a kilobyte of an answer; what follows is not read."""
    start = b""
    while len(start) < 1024 and (piece := await answer.content.read(1024 - len(start))):
        start += piece
    return start


def _without_secrets(url: URL) -> str:
    """Where it leads, without what may be a secret (see `_secrets`)."""
    path = "/".join("***" if len(part) >= _LIKE_A_SECRET else part for part in url.raw_path.split("/"))
    return f"{url.origin()}{path}{'?***' if url.raw_query_string else ''}"


def _secrets(config: Config, url: URL) -> list[str]:
    """Everything an answer must not carry into a log: our secrets, and the parts of a URL that look like one."""
    told = [value.get_secret_value() for value in config.headers.values()]
    told += [word for value in told for word in value.split()[1:]]  # `Bearer <token>`: the token alone, too
    told += [secret.get_secret_value() for secret in config.sign]
    told += [url.password or "", *(part for part in url.parts if len(part) >= _LIKE_A_SECRET), *url.query.values()]
    return sorted((word for word in told if len(word) >= 4), key=len, reverse=True)


def _version() -> str:
    try:
        return version("runrelay")
    except PackageNotFoundError:
        return "dev"

"""One run of one Actor from start to end, webhooks included, as a client of the emulator would have it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
import msgspec

from emulator.documents import Document
from emulator.settings import EmulatorError

ENDINGS = tuple(f"ACTOR.RUN.{end}" for end in ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"))
AGENT = "runrelay-emulator"
"""The `User-Agent` of a rehearsal's own requests: faults are for everybody else."""
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Wish:
    """What to run.

    Attributes:
        actor: `owner~name`.
        body: the input as it is sent, None for none.
        webhook: URL that hears of the run's end, whichever it is.
        headers: what the webhook brings along.
    """

    actor: str
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    webhook: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def parameters(self) -> dict[str, str]:
        """The query of the start: webhooks are Base64 of a JSON array (Apify, "Ad-hoc webhooks")."""
        if self.webhook is None:
            return {}
        hook = {"eventTypes": ENDINGS, "requestUrl": self.webhook}
        hook |= {"headersTemplate": msgspec.json.encode(self.headers).decode()} if self.headers else {}
        return {"webhooks": base64.b64encode(msgspec.json.encode([hook])).decode()}


@dataclass(frozen=True)
class Outcome:
    """How it went; `untaken` are the events that nobody has taken yet."""

    run: Document
    items: int
    records: int
    untaken: list[str]


async def rehearse(
    base_url: str, token: str, wish: Wish, on_line: Callable[[str], None], patience: float = 60.0
) -> Outcome:
    """Start the Actor, follow its log to the end, and wait until its webhooks are taken or given up.

    Args:
        on_line: told of every line of the log.
        patience: seconds to wait for webhooks after the end.
    Raises: EmulatorError if the run cannot be started; the message is the emulator's.
    """
    headers = {"Authorization": f"Bearer {token}", "User-Agent": AGENT}
    async with aiohttp.ClientSession(base_url, headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as session:
        client = _Client(session)
        run = await client.start(wish)
        async for line in client.log(run["id"]):
            on_line(line)
        run = await client.ended(run["id"])
        return Outcome(
            run=run,
            items=await client.count(f"/v2/datasets/{run['defaultDatasetId']}", "itemCount"),
            records=await client.count(f"/v2/key-value-stores/{run['defaultKeyValueStoreId']}/keys", "count"),
            untaken=await client.untaken(run["id"], patience),
        )


class _Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def start(self, wish: Wish) -> Document:
        headers = {"Content-Type": wish.content_type}
        url = f"/v2/acts/{wish.actor}/runs"
        async with self._session.post(url, params=wish.parameters(), data=wish.body, headers=headers) as response:
            return _data(await response.read())

    async def log(self, run_id: str) -> AsyncIterator[str]:
        async with self._session.get(f"/v2/logs/{run_id}", params={"stream": "1"}) as response:
            pending = b""
            async for piece in response.content.iter_any():
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace")

    async def ended(self, run_id: str) -> Document:
        while not (run := await self._get(f"/v2/actor-runs/{run_id}", waitForFinish="60"))["finishedAt"]:
            pass
        return run

    async def count(self, path: str, field: str) -> int:
        return int((await self._get(path))[field])

    async def untaken(self, run_id: str, patience: float) -> list[str]:
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            dispatches = (await self._get("/v2/webhook-dispatches", desc="1"))["items"]
            own = [one for one in dispatches if (one["eventData"] or {}).get("actorRunId") == run_id]
            if all(one["status"] != "ACTIVE" for one in own) or asyncio.get_running_loop().time() > deadline:
                return [one["eventType"] for one in own if one["status"] != "SUCCEEDED"]
            await asyncio.sleep(_POLL_SECONDS)

    async def _get(self, path: str, **params: str) -> Document:
        async with self._session.get(path, params=params) as response:
            return _data(await response.read())


def _data(body: bytes) -> Document:
    answer = msgspec.json.decode(body, type=Document)
    if "error" in answer:
        raise EmulatorError(answer["error"]["message"])
    return dict(answer["data"])

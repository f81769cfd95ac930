"""Finished runs, and webhooks about them that are sent again until somebody takes them, as the platform does."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.history import History
from tests.faults.rows import rows

#: Runs are made this long before they are announced: the platform's counts have settled by then.
RIPE = 2.5
#: Seconds one try may take, and the longest pause between two.
PATIENCE, PAUSE = 5.0, 1.0
#: Rows of one push: the platform takes 9 MB.
PUSH = 50_000


@dataclass(frozen=True)
class Finished:
    """One run that has ended, and when it was made (monotonic)."""

    id: str
    rows: int
    made: float


@dataclass(frozen=True)
class Door:
    """Where webhooks go, and what opens it."""

    url: str
    secret: str


class Platform:
    """Makes runs at the emulator."""

    def __init__(self, http: ClientSession, url: str, token: str, history: History) -> None:
        self.http, self.url, self.history = http, url, history
        self.headers = {"Authorization": f"Bearer {token}"}

    async def run(self, count: int, kind: str = "plain") -> Finished:
        """A run that left so many rows."""
        run = (await self._post("/v2/acts/local~leaver/runs", b""))["data"]
        for begin in range(0, count, PUSH):
            page = b",".join(rows(run["id"], begin, min(begin + PUSH, count)))
            await self._post(f"/v2/datasets/{run['defaultDatasetId']}/items", b"[" + page + b"]")
        self.history.tell("run", run=run["id"], rows=count, kind=kind)
        return Finished(run["id"], count, time.monotonic())

    async def fault(self, text: str) -> None:
        """Plan trouble; YAML as `docs/reference/emulator-faults.md` has it."""
        await self._post("/emulator/faults", text.encode())

    async def mend(self) -> None:
        """What was planned and has not happened will not happen."""
        async with self.http.delete(self.url + "/emulator/faults", headers=self.headers) as answer:
            answer.raise_for_status()

    async def _post(self, path: str, body: bytes) -> Any:
        headers = {**self.headers, "Content-Type": "application/json"}
        async with self.http.post(self.url + path, data=body, headers=headers) as answer:
            said = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"the emulator answered {answer.status} to {path}: {said[:200]!r}")
            return msgspec.json.decode(said) if said else None


class Announcer:
    """Sends webhooks. `open` counts those that nobody has taken yet."""

    def __init__(self, http: ClientSession, door: Door, history: History, chance: random.Random) -> None:
        self.http, self.door, self.history, self.random = http, door, history, chance
        self.number = 0
        self.phase = "undisturbed"
        self.heard: Counter[str] = Counter()
        self._listening = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def announce(self, run: Finished, *, copies: int = 1) -> None:
        """In the background. `copies`: sent so often at the same time, as one dispatch."""
        self.number += 1
        dispatch = f"d{self.number}"
        self.history.tell("hook", hook=dispatch, run=run.id, must="accept")
        for _ in range(copies):
            self._begin(self._until_taken(dispatch, run))

    def intrude(self, run: Finished) -> None:
        """Announce a run in a way that must be refused."""
        self.number += 1
        dispatch, body = f"d{self.number}", _body(run.id)
        self.history.tell("hook", hook=dispatch, run=run.id, must="refuse")
        secret, sent = self.random.choice(
            [
                ("not-the-secret", body),
                ("", body),
                (self.door.secret, body[:-1]),
                (self.door.secret, b"[" + body + b"]"),
            ]
        )
        self._begin(self._once(dispatch, run, sent, secret))

    @property
    def open(self) -> int:
        return len(self._tasks)

    def listen(self) -> None:
        """Count afresh what tries hear that begin from now on: `accepted`, `duplicate`, or a status (0: no answer)."""
        self.heard = Counter()
        self._listening = time.monotonic()

    def give_up(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _begin(self, sending: Any) -> None:
        task = asyncio.create_task(sending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_taken(self, dispatch: str, run: Finished) -> None:
        pause = 0.1
        while not await self._try(dispatch, run.id, _body(run.id), self.door.secret):
            await asyncio.sleep(pause * (0.5 + self.random.random()))
            pause = min(pause * 2, PAUSE)

    async def _once(self, dispatch: str, run: Finished, body: bytes, secret: str) -> None:
        """Refused for good is an answer, too; what nobody heard is said again."""
        while await self._try(dispatch, run.id, body, secret) is None:
            await asyncio.sleep(PAUSE)

    async def _try(self, dispatch: str, run: str, body: bytes, secret: str) -> bool | None:
        """Whether it was taken; None if there was no answer, or one that asks to come again."""
        began = time.monotonic()
        status, said = 0, {}
        headers = {"Content-Type": "application/json", "X-Apify-Webhook-Dispatch-Id": dispatch}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        with suppress(ClientError, TimeoutError, OSError, msgspec.DecodeError):
            async with self.http.post(
                self.door.url, data=body, headers=headers, timeout=ClientTimeout(total=PATIENCE)
            ) as answer:
                status, raw = answer.status, await answer.read()
                said = msgspec.json.decode(raw)
        if began >= self._listening:
            self.heard[said.get("status") or str(status)] += 1
        self.history.tell(
            "try",
            hook=dispatch,
            run=run,
            status=status,
            said=said.get("status") or said.get("kind") or "",
            event=said.get("id", ""),
            began=round(began, 4),
            ms=round((time.monotonic() - began) * 1000, 2),
            phase=self.phase,
        )
        return None if status == 0 or status >= 500 else status == 200


def _body(run: str) -> bytes:
    return b'{"eventType":"ACTOR.RUN.SUCCEEDED","eventData":{"actorRunId":"%s"},"resource":{"id":"%s"}}' % (
        run.encode(),
        run.encode(),
    )


class Stream:
    """Webhooks at a steady rate, as long as the installation keeps up.

    backlog: how much waits now because all are busy. Above `most` nothing new is announced: what is measured here is
    recovery, not how fast two cores deliver.
    """

    def __init__(
        self, platform: Platform, announcer: Announcer, chance: random.Random, backlog: Callable[[], int], most: int
    ) -> None:
        self.platform, self.announcer, self.random = platform, announcer, chance
        self.backlog, self.most = backlog, most
        self.rate = 0.0
        self._ripe: asyncio.Queue[Finished] = asyncio.Queue(150)
        self.held = 0

    async def flow(self) -> None:
        """Until cancelled, at `rate` webhooks a second (0: none)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._make())
            group.create_task(self._send())

    async def _make(self) -> None:
        while True:
            await self._ripe.put(await self.platform.run(self._size()))

    def _size(self) -> int:
        luck = self.random.random()
        if luck < 0.03:
            return 0
        return self.random.randint(1, 40) if luck < 0.93 else self.random.randint(500, 4000)

    async def _send(self) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(self.rate) if self.rate else 0.1)
            if not self.rate:
                continue
            if self.backlog() + self.announcer.open > self.most:
                self.held += 1
                await asyncio.sleep(0.1)
                continue
            self._announce(await self.ripe())

    async def ripe(self) -> Finished:
        run = await self._ripe.get()
        await asyncio.sleep(max(0.0, run.made + RIPE - time.monotonic()))
        return run

    def _announce(self, run: Finished) -> None:
        luck = self.random.random()
        if luck < 0.03:
            self.announcer.intrude(run)
        elif luck < 0.08:
            self.announcer.announce(run, copies=self.random.randint(2, 5))
        else:
            self.announcer.announce(run)
            if luck < 0.12:  # another webhook of the same finish
                self.announcer.announce(run)

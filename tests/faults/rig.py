"""A whole installation of real processes on 127.0.0.1: Valkey, emulator, receiver, two workers and a far side."""

import asyncio
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from aiohttp import ClientError, ClientSession, TCPConnector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.faults.deck import Deck
from tests.faults.evidence import LOOK
from tests.faults.history import History
from tests.faults.load import Announcer, Door, Platform, Stream
from tests.faults.posts import Nursery, Post
from tests.faults.valkey import Valkey

WORKERS = 2
#: Records that wait for somebody to work on them, or webhooks nobody has taken, above which nothing new is announced.
WAITING = 80

ROUTES = """\
version: 1
sources:
  apify:
    token: "${{APIFY_TOKEN}}"
    api_url: http://127.0.0.1:{emulator}
    webhook: {{secrets: ["${{HOOK_SECRET}}"]}}
    settle: {{quiet: 1s}}
# Shorter pauses than the default: a run of minutes has to see retries end.
defaults: {{retry: {{backoff: [0, 1s, 2s, 4s]}}}}
sinks:
  disk: {{type: file, base: "{folder}/files"}}
  far:
    type: http
    url: http://127.0.0.1:{far}/
    sign: "${{SIGNING_KEY}}"
    headers: {{Authorization: "Bearer ${{FAR_TOKEN}}"}}
    timeout: 3s
  rows: {{type: sqlite, path: "{folder}/rows.db"}}
routes:
  - name: all
    when: {{}}
    to: [{{sink: disk}}, {{sink: far, batch: {{items: 500}}}}, {{sink: rows, table: items}}]
"""
#: What must show nowhere.
SECRETS = ("APIFY_TOKEN", "HOOK_SECRET", "SIGNING_KEY", "FAR_TOKEN")
TARGETS = ("disk", "far", "rows")
ACTOR = "name: leaver\nscript: {duration: 0}\n"


class Rig:
    """What a phase plays with. `backlog`: records that are open; `waiting`: those that nobody works on, as last seen.
    `link`: how our processes reach Valkey, if not straight."""

    def __init__(
        self, folder: Path, seed: int, ports: Mapping[str, int], valkey: Valkey, nursery: Nursery, http: ClientSession
    ) -> None:
        self.folder, self.ports, self.valkey, self.http = folder, ports, valkey, http
        self.random = random.Random(seed)
        self.secrets = {name: f"canary-{self.random.getrandbits(128):032x}" for name in SECRETS}
        self.history = History(folder / "history.jsonl")
        self.platform = Platform(http, _url(ports["emulator"]), self.secrets["APIFY_TOKEN"], self.history)
        door = Door(_url(ports["receiver"]) + "/webhooks/apify", self.secrets["HOOK_SECRET"])
        self.announcer = Announcer(http, door, self.history, random.Random(seed + 1))
        self.stream = Stream(self.platform, self.announcer, random.Random(seed + 2), lambda: self.waiting, WAITING)
        self.decks = {part: Deck(folder / "fired", self.random) for part in ("receiver", "worker")}
        self.nursery = nursery
        self.link: str | None = None
        self.backlog = self.waiting = 0
        self.far_side = self._post("far-side", "far-side", str(ports["far"]), str(seed))
        data = ("--data", str(folder / "platform"), "--actors", str(folder / "actors"))
        token = ("--token", self.secrets["APIFY_TOKEN"])
        self.emulator = self._post("emulator", "emulator", "--port", str(ports["emulator"]), *token, *data)
        self.receiver = self._post("receiver", "receiver", "--port", str(ports["receiver"]))
        self.workers = [self._post(f"worker-{number}", "worker", "--port", "0") for number in range(WORKERS)]

    @property
    def ours(self) -> list[Post]:
        """The processes of the product."""
        return [self.receiver, *self.workers]

    def _post(self, name: str, command: str, *words: str) -> Post:
        deck = self.decks.get(command)
        failpoint = partial(deck.deal, name) if deck else _undisturbed
        return Post(name, [command, *words], self.nursery, self.history, self.folder, self._environment, failpoint)

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **self.secrets,
            "REDIS_URL": self.link or self.valkey.url,
            "RUNRELAY_CONFIG": str(self.folder / "runrelay.yaml"),
            "RUNRELAY_SPOOL_DIR": str(self.folder / "spool"),
            "RUNRELAY_LOG_FORMAT": "json",
        }

    def say(self, text: str) -> None:
        print(text, flush=True)

    async def trouble(self, mode: str, share: float, seconds: float) -> None:
        """Let the far side misbehave for a while."""
        self.history.tell("fault", kind=f"sink.{mode}", seconds=seconds)
        query = {"mode": mode, "share": str(share), "seconds": str(seconds)}
        async with self.http.post(_url(self.ports["far"]) + "/trouble", params=query) as answer:
            await answer.read()

    async def restart(self, post: Post, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process; returns once there is a new one."""
        lives = post.lives
        post.send(number)
        while post.lives == lives:
            await asyncio.sleep(0.01)
        await post.up()

    async def all_anew(self, redis_url: str | None = None) -> None:
        """Every process of ours once more, with another way to Redis (None: the straight one)."""
        self.link = redis_url
        await asyncio.gather(*(self.restart(each, signal.SIGTERM) for each in self.ours))
        await self.open_door()

    async def open_door(self) -> None:
        """Wait until the receiver listens."""
        await until(partial(_listens, self.ports["receiver"]))

    async def drained(self, most: float) -> float | None:
        """Seconds until every webhook was taken and every record is final; None if that took longer than `most`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with Redis.from_url(self.valkey.url) as redis:
            while self.announcer.open or await redis.zcard("rr:due"):
                if loop.time() - began > most:
                    return None
                await asyncio.sleep(0.1)
        return loop.time() - began


async def until(ask: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await ask():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def rig(folder: Path, seed: int) -> AsyncIterator[Rig]:
    """Everything up and undisturbed; at the end everything is gone but the folder."""
    ports = {name: free_port() for name in ("valkey", "emulator", "receiver", "far")}
    _lay_out(folder, ports)
    valkey = Valkey(folder / "valkey", ports["valkey"])
    async with AsyncExitStack() as stack:
        stack.callback(valkey.kill)
        await valkey.start()
        nursery = await stack.enter_async_context(Nursery.open(folder / "logs" / "nursery.log"))
        http = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=500)))
        here = Rig(folder, seed, ports, valkey, nursery, http)
        for post in (here.far_side, here.emulator, *here.ours):
            post.start()
            stack.push_async_callback(post.stop)
        for port in ports.values():
            await until(partial(_listens, port))
        stack.callback(here.announcer.give_up)
        for beside in (_watch(here), here.stream.flow()):
            stack.push_async_callback(_cancel, asyncio.create_task(beside))
        yield here


def _lay_out(folder: Path, ports: Mapping[str, int]) -> None:
    for name in ("logs", "fired", "files", "actors/leaver"):
        (folder / name).mkdir(parents=True)
    (folder / "actors/leaver/actor.yaml").write_text(ACTOR)
    (folder / "runrelay.yaml").write_text(ROUTES.format(folder=folder, **ports))


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _undisturbed() -> None:
    return None


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def _watch(here: Rig) -> None:
    """Twice a second: how much is open, how much waits, and which circuits are open. Every other time: the most
    memory each process held."""
    turn = 0
    async with Redis.from_url(here.valkey.url, socket_timeout=1) as redis:
        while True:
            with suppress(RedisError, OSError):
                here.backlog = int(await redis.zcard("rr:due"))
                lines = await redis.smembers("rr:lines")
                if circuits := await redis.smembers("rr:open"):
                    here.history.tell("open", circuits=sorted(name.decode() for name in circuits))
                here.waiting = int(await redis.zcard("rr:queue")) + sum(
                    [int(await redis.zcard(b"rr:line:" + line)) for line in lines]
                )
            if turn % 2 == 0:
                for each in here.ours:
                    if kb := peak_memory(each.pid):
                        here.history.tell("rss", name=each.name, pid=each.pid, kb=kb)
            turn += 1
            await asyncio.sleep(LOOK)


def peak_memory(pid: int) -> int:
    """The most a process ever held in memory, in kB; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, ClientError):
        return False
    writer.close()
    return True

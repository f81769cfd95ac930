"""What the platform tells a running Actor over a websocket (Apify, "System events").

Text frames `{"name", "createdAt", "data"}`; the Actor sends nothing. Without data the field is left out: the official
SDK cannot read `null`.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.documents import Document
from emulator.stamps import stamp
from emulator.vitals import Vitals

PATH = "/v2/actor-runs/{run}/events/{secret}"
SYSTEM_INFO_SECONDS = 5.0
_SHORTEST_SECONDS = 0.1  # however fast the clock runs
_MOST_LISTENERS = 8
_MOST_WAITING = 100  # frames for a listener that does not read
_NORMAL, _REFUSED = 1000, 1008  # RFC 6455: a client that is refused with 1008 does not come back

Frames = asyncio.Queue[str | None]


@dataclass
class _Channel:
    """Where one life of a run listens."""

    secret: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    listeners: set[Frames] = field(default_factory=set)
    vitals: Vitals | None = None


class Events:
    """The events websockets of all live runs."""

    def __init__(self, base_url: str, clock_factor: float) -> None:
        self._base_url = "ws" + base_url.removeprefix("http")
        self._pause = max(SYSTEM_INFO_SECONDS * clock_factor, _SHORTEST_SECONDS)
        self._channels: dict[str, _Channel] = {}

    def open(self, run_id: str) -> str:
        """A life of the run begins; returns the websocket's URL, which only its process knows."""
        channel = self._channels[run_id] = _Channel()
        return self._base_url + PATH.format(run=run_id, secret=channel.secret)

    def watch(self, run_id: str, group: int, options: Document) -> None:
        """From now on tell the run what this process group uses; `options` are those of the run."""
        if channel := self._channels.get(run_id):
            channel.vitals = Vitals(group, processors=options["memoryMbytes"] / 4096)

    def send(self, run_id: str, name: str, data: Document | None = None) -> None:
        """Tell a live run something; a run that does not listen does not hear it."""
        if channel := self._channels.get(run_id):
            for frames in channel.listeners:
                _put(frames, _frame(name, data))

    def close(self, run_id: str) -> None:
        """The life is over."""
        if channel := self._channels.pop(run_id, None):
            for frames in channel.listeners:
                _put(frames, None)

    async def serve(self, websocket: WebSocket) -> None:
        """One websocket, to its end. A stranger is let in and sent away: a refused handshake would end the Actor."""
        await websocket.accept()
        channel = self._channels.get(websocket.path_params["run"])
        known = channel is not None and secrets.compare_digest(channel.secret, websocket.path_params["secret"])
        if channel is None or not known or len(channel.listeners) >= _MOST_LISTENERS:
            await websocket.close(_REFUSED, "Unknown run, or too many connections.")
            return
        frames: Frames = asyncio.Queue(_MOST_WAITING)
        channel.listeners.add(frames)
        try:
            await self._talk(websocket, channel, frames)
        finally:
            channel.listeners.discard(frames)

    async def _talk(self, websocket: WebSocket, channel: _Channel, frames: Frames) -> None:
        tasks = [
            asyncio.create_task(_write(websocket, frames)),
            asyncio.create_task(_until_left(websocket)),
            asyncio.create_task(self._report(channel, frames)),
        ]
        try:
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _report(self, channel: _Channel, frames: Frames) -> None:
        while True:
            if channel.vitals and (info := await asyncio.to_thread(channel.vitals.system_info)):
                _put(frames, _frame("systemInfo", info))
            await asyncio.sleep(self._pause)


def _frame(name: str, data: Document | None) -> str:
    frame: Document = {"name": name, "createdAt": stamp()}
    return msgspec.json.encode(frame if data is None else frame | {"data": data}).decode()


def _put(frames: Frames, frame: str | None) -> None:
    """What comes after a full queue is lost, except the end."""
    if frames.full() and frame is None:
        frames.get_nowait()
    with contextlib.suppress(asyncio.QueueFull):
        frames.put_nowait(frame)


async def _write(websocket: WebSocket, frames: Frames) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it left while we were writing
        while (frame := await frames.get()) is not None:
            await websocket.send_text(frame)
        await websocket.close(_NORMAL)


async def _until_left(websocket: WebSocket) -> None:
    """Whatever the Actor sends is read and forgotten."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass

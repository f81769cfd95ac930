"""A platform of our own, as small as the contract allows: `{"run": "<id>", "kind": "<word>"}`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from config.contracts.errors import Refused
from config.contracts.event import Event, Ignored, Test, event_id
from config.contracts.kinds import Kind
from config.contracts.source import Capture, Source
from config.queue import Accepted, Duplicate
from config.webhooks.captured import Captured
from config.webhooks.verify import Addresses, StaticSecrets


class PlainSource:
    """The door half of a source. The other half is never asked for by a receiver."""

    @property
    def capture(self) -> Capture | None:
        return None

    def __init__(self, name: str, *secrets: str, networks: Sequence[str] = ()) -> None:
        self.name = name
        self._secrets = StaticSecrets(secrets)
        self._addresses = Addresses(networks)

    def admit(self, address: str | None, /) -> None:
        self._addresses.check(address)

    def authenticate(self, presented: str | None, headers: Mapping[str, str], /) -> None:
        self._secrets.check(presented)

    def verify(self, headers: Mapping[str, str], body: bytes, /) -> None:
        """The secret said it all."""

    def parse(self, headers: Mapping[str, str], body: bytes, /) -> Event | Ignored | Test:
        try:
            said = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(Kind.REQUEST_INVALID, "not JSON") from None
        if not isinstance(said, dict) or not isinstance(said.get("run"), str):
            raise Refused(Kind.EVENT_INVALID, "no run id")
        match said.get("kind"):
            case "TEST":
                return Test()
            case "CREATED":
                return Ignored("CREATED")
        identity = event_id(self.name, headers.get("x-dispatch"), body)
        return Event(id=identity, source=self.name, run_id=said["run"], kind=str(said.get("kind", "")), body=body)


def plain_source(name: str, *secrets: str, networks: Sequence[str] = ()) -> Source:
    return cast(Source, PlainSource(name, *secrets, networks=networks))


class Hold:
    """An answer that waits until the test says go."""

    def __init__(self, queue: "TestQueue") -> None:
        self.queue = queue
        self.arrived = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def __call__(self, events: Sequence[Event]) -> list[Accepted | Duplicate]:
        self.arrived.release()
        await self.go.wait()
        return self.queue.remember(events)


class TestQueue:
    """An inbox that remembers, and that answers whatever a test wants it to."""

    __test__ = False

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.events: dict[str, Event] = {}
        self.captured: list[Captured] = []
        self.findings: list[str] = []
        self.warnings: list[str] = []
        self.answer: Callable[[Sequence[Event]], Any] = self.remember

    def remember(self, events: Sequence[Event]) -> list[Accepted | Duplicate]:
        return [self._one(event) for event in events]

    def _one(self, event: Event) -> Accepted | Duplicate:
        known = event.id in self.events
        self.events.setdefault(event.id, event)
        return Duplicate(event.id) if known else Accepted(event.id)

    def hold(self) -> Hold:
        """From now on nobody gets an answer before `go` is set."""
        self.answer = hold = Hold(self)
        return hold

    async def accept(self, events: Sequence[Event], /) -> list[Accepted | Duplicate]:
        answer = self.answer(events)
        if hasattr(answer, "__await__"):
            answer = await answer
        return cast("list[Accepted | Duplicate]", answer)

    async def capture(self, captured: Captured, keep: int, /) -> None:
        self.captured.append(captured)

    async def ready(self) -> list[str]:
        return self.findings

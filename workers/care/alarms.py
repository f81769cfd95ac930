"""Tells people what needs them: `alerts:` of runrelay.yaml. Runs in every worker, but of all workers one at a time.

Each target of alerts has a book for each kind: what it was told, when it was sent something, and the alert that is on
its way. An alert is written down before it is sent, and so is the same, with the same id, on every try; what is news
meanwhile waits for the next one. So a storm is one message with counts, and whoever fails hears of everything later.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import cast

import msgspec
import structlog
from redis.exceptions import RedisError

from config.contracts.alert import STREAM, Alert, AlertKind
from config.contracts.delivery import Delivery
from config.contracts.document import Document
from config.contracts.errors import WorkError
from config.contracts.event import digest
from config.contracts.run import Run
from config.contracts.sink import Shipment
from config.logs import masked
from config.reloading import Watch
from config.route import Alerts, AlertTarget
from workers.care.news import News, Outlook, Told, iso, outlook
from workers.care.wording import WHAT_TO_DO, text
from workers.ledger.ledger import Ledger
from workers.ledger.signs import note_misread
from workers.metrics import ALERTS
from workers.runtime import Runtime

log = structlog.get_logger("runrelay.alarms")

#: Seconds between the end of a turn and the next one, and between two questions whose turn it is.
EVERY, ASK = 15.0, 5.0
#: Seconds after which a turn sends nothing more to a target, and one try may take. A turn is through before LONGEST.
BUSY, PATIENCE, LONGEST = 30.0, 20.0, 60.0
#: Groups that one alert names; it counts all.
MOST_NAMED = 10
#: Characters of a problem of the routes file.
MOST_SAID = 500


async def alarm_forever(runtime: Runtime, watch: Watch) -> None:
    """Until cancelled, with the table of the moment. Redis being away is waited out."""
    ledger = runtime.ledger
    while True:
        try:
            if watch.problem:
                problem = masked(watch.problem)[:MOST_SAID]
                await note_misread(ledger.redis, ledger.keys, problem, await ledger.now())
            if alerts := runtime.table.alerts:
                await Alarms(runtime, alerts, every=EVERY).turn()
        except (RedisError, OSError) as exc:
            log.warning("alarms.redis_away", error=type(exc).__name__)
        except Exception:
            log.exception("alarms.broke")
        await asyncio.sleep(ASK)


class Book(msgspec.Struct, kw_only=True):
    """What one target was told of one kind.

    Attributes:
        told: see `workers.care.news`.
        sent: when it was sent something, ms by Redis' clock, as far as `at_most` counts it.
        alert: what is on its way; None if nothing is.
        then: what it is told once that has arrived.
    """

    told: Told = {}
    sent: list[int] = []
    alert: Alert | None = None
    then: Told = {}


class Alarms:
    """Tells everybody in `alerts`."""

    def __init__(self, runtime: Runtime, alerts: Alerts, *, every: float) -> None:
        self._runtime, self._alerts, self._every = runtime, alerts, every
        self._table, self._shelf = runtime.table, Shelf(runtime.ledger)

    async def turn(self) -> None:
        """Tell what is new, if it is time and no other worker does. Raises RedisError, OSError."""
        redis, turn = self._runtime.ledger.redis, self._runtime.ledger.keys.alarmed
        if not await redis.set(turn, 1, nx=True, px=round(LONGEST * 1000)):
            return
        try:
            seen = await outlook(self._runtime.ledger, self._table)
            told = await asyncio.gather(*(self._tell(one, seen) for one in self._alerts.to), return_exceptions=True)
            for trouble in filter(None, told):
                raise trouble
        finally:
            with suppress(RedisError, OSError):
                await redis.pexpire(turn, round(self._every * 1000))

    async def _tell(self, target: AlertTarget, seen: Outlook) -> None:
        """One that fails is asked no more in this turn."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BUSY
        for kind in self._alerts.kinds:
            book = await self._shelf.open(target, kind)
            await self._write(target, kind, book, seen)
            if book.alert is None:
                continue
            if loop.time() > end or not await self._sent(target, book.alert):
                return
            recent = [*book.sent, seen.standing.at][-self._alerts.at_most.many :]
            await self._shelf.keep(target, kind, Book(told=book.then, sent=recent))

    async def _write(self, target: AlertTarget, kind: AlertKind, book: Book, seen: Outlook) -> None:
        """An alert into the book, if there is news, none is on its way, and it is not too soon."""
        if book.alert or self._too_soon(book, seen.standing.at):
            return
        news = await seen.news(kind, book.told)
        if news.number or news.over:
            book.alert, book.then = _alert(target, kind, news, seen.standing.at), news.told
            await self._shelf.keep(target, kind, book)
        elif news.told.keys() != book.told.keys():
            book.told = news.told
            await self._shelf.keep(target, kind, book)

    def _too_soon(self, book: Book, now: int) -> bool:
        many, seconds = self._alerts.at_most
        return sum(moment > now - seconds * 1000 for moment in book.sent) >= many

    async def _sent(self, target: AlertTarget, alert: Alert) -> bool:
        facts = {"to": target.name, "kind": alert.kind, "alert_id": alert.id, "count": alert.count}
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ship(target, alert)
        except Exception as exc:  # also a bug of somebody's sink: nobody else waits for it
            said = exc.reason.value if isinstance(exc, WorkError) else type(exc).__name__
            log.warning("alert.failed", **facts, error=said, detail=str(getattr(exc, "detail", "")))
            ALERTS.labels(alert.kind, "failed").inc()
            return False
        log.info("alert.sent", **facts)
        ALERTS.labels(alert.kind, "sent").inc()
        return True

    async def _ship(self, target: AlertTarget, alert: Alert) -> None:
        spec = self._table.sinks[target.sink]
        async with (
            self._runtime.connections.use(spec, self._runtime.surroundings) as sink,
            sink.open(_shipment(target, alert), None) as writer,
        ):
            await writer.document(_document(alert))
            await writer.publish()


class Shelf:
    """Where the books stand. One that nobody can read is begun anew."""

    def __init__(self, ledger: Ledger) -> None:
        self._redis, self._key = ledger.redis, ledger.keys.alerts

    async def open(self, target: AlertTarget, kind: AlertKind) -> Book:
        written = await cast("Awaitable[bytes | None]", self._redis.hget(self._key, f"{target.name}|{kind}"))
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(written or b"{}", type=Book)
        return Book()

    async def keep(self, target: AlertTarget, kind: AlertKind, book: Book) -> None:
        name, written = f"{target.name}|{kind}", msgspec.json.encode(book)
        await cast("Awaitable[int]", self._redis.hset(self._key, name, written.decode()))


def _alert(target: AlertTarget, kind: AlertKind, news: News, now: int) -> Alert:
    return Alert(
        id=digest(STREAM, target.name, kind, str(now)),
        kind=kind,
        at=iso(now),
        text=masked(text(kind, news, MOST_NAMED)),
        count=news.number,
        about=tuple(news.about[:MOST_NAMED]),
        over=tuple(news.over[:MOST_NAMED]),
        what_to_do=WHAT_TO_DO[kind] if news.number else "",
    )


def _shipment(target: AlertTarget, alert: Alert) -> Shipment:
    """As far as an alert has what a delivery has."""
    delivery = Delivery(
        id=alert.id,
        event_id="",
        source="",
        run_id="",
        life="",
        route="alerts",
        target=target.name,
        sink=target.sink,
        cfg="",
        streams=(STREAM,),
    )
    run = Run(id="", source="", status="", terminal=True, life="", finished=0.0, account="")
    return Shipment(delivery, STREAM, run, {"alert": msgspec.to_builtins(alert)}, target.options)


def _document(alert: Alert) -> Document:
    body = msgspec.json.encode(alert) + b"\n"

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    return Document(alert.key, "application/json", len(body), chunks())

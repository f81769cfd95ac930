"""`runrelay runs`, `deliveries`, `show`: what the ledger says."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich import box
from rich.table import Table

from config.keys import RecordKind
from console.cli.options import Config, Json, Limit, example
from console.cli.output import Output, plain
from console.holds import wait_facts, wait_words
from console.ledger_search import Found, find
from console.moments import iso, when_of
from console.opening import nearby, open_ledger, open_settings
from console.receipts import receipt_table, row_of
from console.rejects import lines_of, rejects_of
from workers.ledger.ledger import Ledger
from workers.ledger.records import AfterRecord, DeliveryRecord, EventRecord
from workers.ledger.waiting import Wait, waits

T = TypeVar("T")
#: Why records stand in line, by id.
Waiting = dict[str, Wait]
#: Characters of an id that a table shows.
SHORT = 12


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("runrelay runs --limit 50"))(runs)
    app.command(epilog=example("runrelay deliveries --json | head -n 1"))(deliveries)
    app.command(epilog=example("runrelay show 3f9a1c0b7d24"))(show)


def runs(config: Config = None, limit: Limit = 20, json: Json = False) -> None:
    """List the newest finished runs we heard of, and what became of each."""
    found, waiting = ask_ledger(config, lambda ledger: _newest(ledger, limit))
    out = Output(json)
    for event, planned, after in found:
        states = dict(Counter(one.state.value for one in planned))
        said = {"deliveries": states, "after": after_facts(after) if after else None}
        out.fact(**event_facts(event), **said, waits=_wait_facts(waiting, event, planned))
    table = table_of("when", "source", "run", "status", "state", "deliveries", "id", "reason")
    for event, planned, after in found:
        status = event.run.status if event.run else ""
        summary = _summary(planned) + (f"; {_deleting(after)}" if after else "")
        reason = _reason(event.reason, *_wait_words(waiting, event, planned))
        words = (event.source, event.run_id, status, event.state, summary, event.id[:SHORT], reason)
        table.add_row(when_of(event.at), *(plain(word) for word in words))
    out.show(table if found else "no run has been heard of yet")


def deliveries(config: Config = None, limit: Limit = 20, json: Json = False) -> None:
    """List the newest deliveries: where to, how far, and why they wait or ended."""
    found, waiting = ask_ledger(config, lambda ledger: _newest_deliveries(ledger, limit))
    out = Output(json)
    for one in found:
        out.fact(**delivery_facts(one), waits=wait_facts(waiting.get(one.delivery.id)))
    table = table_of("when", "target", "run", "state", "delivered", "tries", "id", "reason")
    for one in found:
        place = one.delivery
        words = (f"{place.route}/{place.target}", place.run_id, one.state, f"{_delivered(one):,}")
        reason = _reason(one.reason, *_wait_words(waiting, None, [one]))
        table.add_row(when_of(one.at), *map(plain, words), *map(plain, (one.attempt, place.id[:SHORT], reason)))
    out.show(table if found else "nothing has been planned yet")


def show(
    id: Annotated[str, typer.Argument(help="Of an event, a delivery (8 characters or more) or a run.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Tell everything known of one event, delivery or run, receipts included."""
    found, waiting, rejects = ask_ledger(config, lambda ledger: _found(ledger, id))
    out = Output(json)
    for event in found.events:
        waits = wait_facts(waiting.get(event.id))
        out.fact(**event_facts(event), deliveries=list(event.deliveries), waits=waits)
    for one in found.deliveries:
        left_out = {"rejects": rejects[one.delivery.id]} if one.delivery.id in rejects else {}
        out.fact(**delivery_facts(one), **left_out, waits=wait_facts(waiting.get(one.delivery.id)))
    for after in found.afters:
        out.fact(after=after.after.id, source=after.after.source, run_id=after.after.run_id, **after_facts(after))
    _tell(out, found, waiting)
    for delivery, kept in rejects.items():
        out.tell(f"rejected of {delivery[:SHORT]}")
        for line in lines_of(kept):
            out.tell(f"  {plain(line, 300).plain}")


def event_facts(event: EventRecord) -> dict[str, Any]:
    """An event as JSON has it; its body stays in the ledger."""
    return {
        "event": event.id,
        "at": iso(event.at),
        "source": event.source,
        "run_id": event.run_id,
        "kind": event.kind,
        "via": event.via,
        "status": event.run.status if event.run else None,
        "state": event.state.value,
        "attempt": event.attempt,
        "ended": iso(event.ended),
        "reason": event.reason,
        "detail": event.detail,
    }


def delivery_facts(one: DeliveryRecord) -> dict[str, Any]:
    """A delivery as JSON has it."""
    place = one.delivery
    return {
        "delivery": place.id,
        "event": place.event_id,
        "at": iso(one.at),
        "source": place.source,
        "run_id": place.run_id,
        "route": place.route,
        "target": place.target,
        "sink": place.sink,
        "generation": place.generation,
        "state": one.state.value,
        "attempt": one.attempt,
        "ended": iso(one.ended),
        "reason": one.reason,
        "detail": one.detail,
        "receipts": [row_of(row) for row in one.checkpoint.receipts],
    }


def after_facts(after: AfterRecord) -> dict[str, Any]:
    """What is deleted at the platform once all is delivered, as JSON has it."""
    return {
        "delete": list(after.after.delete),
        "life": after.after.life,
        "at": iso(after.at),
        "state": after.state.value,
        "attempt": after.attempt,
        "ended": iso(after.ended),
        "reason": after.reason,
        "detail": after.detail,
    }


def _tell(out: Output, found: Found, waiting: Waiting) -> None:
    for event in found.events:
        facts = {**event_facts(event), "waits": ", ".join(_wait_words(waiting, event, []))}
        tell_facts(out, f"event {event.id}", facts, skip=("event",))
    for one in found.deliveries:
        facts = {**delivery_facts(one), "waits": ", ".join(_wait_words(waiting, None, [one]))}
        tell_facts(out, f"delivery {one.delivery.id}", facts, skip=("delivery", "receipts"))
    for after in found.afters:
        facts = after_facts(after) | {"delete": ", ".join(after.after.delete)}
        tell_facts(out, f"after {after.after.id}", facts, skip=())
    rows = [row for one in found.deliveries for row in one.checkpoint.receipts]
    if rows:
        out.show(receipt_table(rows, out.out.width))


def tell_facts(out: Output, title: str, facts: dict[str, Any], skip: Sequence[str]) -> None:
    out.tell(title)
    for name, value in facts.items():
        if name not in skip and value not in {None, ""}:
            out.tell(f"  {name:<10} {plain(value, 1000).plain}")


def ask_ledger(config: Path | None, question: Callable[[Ledger], Awaitable[T]]) -> T:
    settings = nearby(open_settings(config))

    async def ask() -> T:
        async with open_ledger(settings.redis_url, settings.namespace) as ledger:
            return await question(ledger)

    return asyncio.run(ask())


async def _newest(
    ledger: Ledger, most: int
) -> tuple[list[tuple[EventRecord, list[DeliveryRecord], AfterRecord | None]], Waiting]:
    found = []
    for event in await ledger.newest_events(most):
        known = await asyncio.gather(*(ledger.delivery(id) for id in event.deliveries))
        found.append((event, [one for one in known if one], await ledger.after_of(event)))
    events, planned = [event for event, *_ in found], [one for _, ones, _ in found for one in ones]
    return found, await _waiting(ledger, events, planned)


async def _newest_deliveries(ledger: Ledger, most: int) -> tuple[list[DeliveryRecord], Waiting]:
    found = await ledger.newest_deliveries(most)
    return found, await _waiting(ledger, [], found)


async def _found(ledger: Ledger, id: str) -> tuple[Found, Waiting, dict[str, list[dict[str, Any]]]]:
    found = await find(ledger, id)
    waiting = await _waiting(ledger, found.events, found.deliveries)
    return found, waiting, await rejects_of(ledger, found.deliveries)


async def _waiting(ledger: Ledger, events: Sequence[EventRecord], deliveries: Sequence[DeliveryRecord]) -> Waiting:
    """Why those that have not ended stand in line, if they do."""
    members: list[tuple[RecordKind, str]] = [("ev", one.id) for one in events if not one.state.final]
    members += [("dl", one.delivery.id) for one in deliveries if not one.state.final]
    return await waits(ledger.redis, ledger.keys, members)


def _wait_words(waiting: Waiting, event: EventRecord | None, deliveries: Sequence[DeliveryRecord]) -> list[str]:
    """Each once, of an event and deliveries of it."""
    ids = [*([event.id] if event else []), *(one.delivery.id for one in deliveries)]
    return list(dict.fromkeys(wait_words(waiting[each]) for each in ids if each in waiting))


def _wait_facts(waiting: Waiting, event: EventRecord, deliveries: Sequence[DeliveryRecord]) -> list[dict[str, Any]]:
    """Of an event and its deliveries, by id."""
    ids = (event.id, *(one.delivery.id for one in deliveries))
    return [{"id": each, **facts} for each in ids if (facts := wait_facts(waiting.get(each)))]


def _reason(*words: str) -> str:
    return "; ".join(filter(None, words))


def table_of(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, justify="right" if name in {"delivered", "tries"} else "left")
    return table


def _summary(planned: Sequence[DeliveryRecord]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(one.state.value for one in planned).items())


def _deleting(after: AfterRecord) -> str:
    """`delete dataset: done`."""
    return f"delete {'+'.join(after.after.delete)}: {after.state}"


def _delivered(one: DeliveryRecord) -> int:
    return sum(row.delivered for row in one.checkpoint.receipts)

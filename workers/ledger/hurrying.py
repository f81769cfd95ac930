"""Trying now what waits for a target."""

from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

from workers.ledger.ledger import Ledger
from workers.ledger.standing import Place

_PAGE = 500


async def hurry(ledger: Ledger, place: Place) -> int:
    """As if the target had just answered again: what stands in its line goes, and what waits for a time of its own is
    due. What a person holds stays held. Returns how many waited. Looks through everything that is open."""
    lane = f"target:{place.route}/{place.target}"
    waited = int(await ledger.run("hurry", lane))
    async for ids in _open(ledger, place):
        waited += int(await ledger.run("hurry", lane, *ids))
    return waited


async def _open(ledger: Ledger, place: Place) -> AsyncIterator[list[str]]:
    """Ids of the open deliveries to a target, page by page."""
    page: list[str] = []
    async for member, _ in ledger.redis.zscan_iter(ledger.keys.due, match="dl:*", count=_PAGE):
        page.append(member.decode()[3:])
        if len(page) == _PAGE:
            yield await _led_to(ledger, place, page)
            page = []
    yield await _led_to(ledger, place, page)


async def _led_to(ledger: Ledger, place: Place, ids: list[str]) -> list[str]:
    ask = ledger.redis.pipeline(transaction=False)
    for each in ids:
        ask.hget(ledger.keys.record("dl", each), "delivery")
    written = await ask.execute() if ids else []
    return [each for each, text in zip(ids, written, strict=True) if _leads_to(place, text)]


def _leads_to(place: Place, written: bytes | None) -> bool:
    with suppress(msgspec.MsgspecError):  # a record nobody can read leads nowhere
        return msgspec.json.decode(written or b"", type=_Led) == _Led(*place)
    return False


class _Led(msgspec.Struct):
    route: str
    target: str

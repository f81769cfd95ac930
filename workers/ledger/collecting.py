"""Messages to people: each goes out once, as far as that can be known, and a storm of them goes out as one.

A message is put into the box of whoever it goes to. While the box is open whoever asks is given all that is in it, as
one bundle, and the box is shut for its window. A bundle stays together until it has arrived: somebody else's try sends
the same. What went out is remembered, so that every delivery in the bundle ends without sending anything itself.
"""

from config.contracts.errors import NotYet, Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Box, Bundle
from workers.ledger.ledger import Ledger

#: Seconds after which a bundle that was begun counts as broken off: longer than a turn may take to send it.
LONGEST = 120.0
#: Seconds for which is known what went out: longer than a delivery is tried by default.
KEPT = 8 * 86_400.0
_UNKNOWN = (
    "sending it broke off, and nobody knows whether it arrived; on_unknown is dead_letter: look there, then "
    "runrelay dlq retry or drop"
)
_REFUSED = "it was sent as one with others, which the far side does not take: runrelay dlq retry sends it by itself"


class Collected:
    """All boxes of an installation (see `Collecting`). Every method raises RedisError, OSError."""

    def __init__(self, ledger: Ledger, *, longest: float = LONGEST) -> None:
        self.ledger, self.longest = ledger, longest

    async def ask(self, box: Box, id: str, text: bytes) -> Bundle | None:
        word, *more = await self.ledger.run(
            "collect", box.name, id, text, _ms(box.window), box.most, _ms(self.longest), int(box.again), _ms(KEPT)
        )
        match word:
            case b"sent":
                return None
            case b"wait":
                raise NotYet(Reason.COLLECTING, "it goes out with others to the same target", wait=more[0] / 1000)
            case b"unknown":
                raise Permanent(Reason.OUTCOME_UNKNOWN, _UNKNOWN)
            case b"refused":
                raise Permanent(Reason.ITEM_REFUSED, _REFUSED)
        name, count, mine, reached, *texts = more
        return Bundle(name.decode(), tuple(texts), count, bool(mine), frozenset(reached.decode().split()))

    async def reached(self, box: Box, bundle: Bundle, address: str) -> None:
        await self._note(box, bundle, "reached", address)

    async def sent(self, box: Box, bundle: Bundle) -> None:
        await self._note(box, bundle, "sent")

    async def failed(self, box: Box, bundle: Bundle) -> None:
        await self._note(box, bundle, "failed")

    async def refused(self, box: Box, bundle: Bundle) -> None:
        await self._note(box, bundle, "refused")

    async def _note(self, box: Box, bundle: Bundle, word: str, *more: str) -> None:
        await self.ledger.run("collected", box.name, bundle.name, word, _ms(KEPT), *more)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

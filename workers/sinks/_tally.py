"""Messages on their way to a broker that confirms each: a few together, and what became of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from config.contracts.sink import Rejected, Taken
from workers.sinks._message import Message, windows

#: Messages, and bytes of them, that are on their way at once.
WINDOW, WINDOW_BYTES = 100, 4 * 1024**2
#: Seconds after which the rest of a batch is left for another call.
ENOUGH = 10.0


@dataclass
class Tally:
    """What became of messages so far. `seen`: rows that were looked at."""

    rows: int = 0
    out: int = 0
    bytes: int = 0
    seen: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def refuse(self, *rejected: Rejected) -> None:
        self.rejected += rejected
        self.seen += len(rejected)

    def confirm(self, sent: Iterable[Message]) -> None:
        for one in sent:
            self.out += 1
            self.bytes += len(one.body)
            self.rows += len(one.rows)
            self.seen += len(one.rows)

    def taken(self, position: dict[str, Any], left: int = 0) -> Taken:
        return Taken(self.rows, self.out, self.bytes, position, tuple(self.rejected), left)


def fitting(
    made: Iterable[Message | Rejected], fault: Callable[[Message], str | None], tally: Tally
) -> Iterator[list[Message]]:
    """Those that are sent together. What cannot be sent is told to the tally.

    fault: what is wrong with a message for this broker, if something is.
    """
    return windows(_sound(made, fault, tally), WINDOW, WINDOW_BYTES)


def _sound(
    made: Iterable[Message | Rejected], fault: Callable[[Message], str | None], tally: Tally
) -> Iterator[Message]:
    for one in made:
        if isinstance(one, Rejected):
            tally.refuse(one)
        elif why := fault(one):
            tally.refuse(*(Rejected(row, why) for row in one.rows))
        else:
            yield one

"""Samples of several contenders, taken in turns, and the ratios between them."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Sample = Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """One table.

    Attributes:
        title: what was done.
        quantities: name of a number in a sample → heading of its column.
        compared: quantities that are also shown as ratios.
        against: peers that ratios are taken against.
        samples: contender → one sample per repetition, in the order taken.
    """

    title: str
    quantities: Mapping[str, str]
    compared: Sequence[str]
    against: Sequence[str]
    samples: Mapping[str, Sequence[Sample]]

    def middle(self, contender: str, quantity: str) -> float:
        return median(sample[quantity] for sample in self.samples[contender])

    def ratio(self, contender: str, peer: str, quantity: str) -> float:
        """The median of the ratios within each repetition: both were measured seconds apart."""
        pairs = zip(self.samples[contender], self.samples[peer], strict=True)
        return median(one[quantity] / other[quantity] for one, other in pairs)

    def ratios(self) -> Iterator[tuple[str, str]]:
        """Every (quantity, peer) that has a column."""
        return ((quantity, peer) for quantity in self.compared for peer in self.against)

    def as_json(self) -> dict[str, Any]:
        return {"title": self.title, "contenders": {name: self._row(name) for name in self.samples}}

    def _row(self, name: str) -> dict[str, Any]:
        return {
            **{quantity: round(self.middle(name, quantity), 3) for quantity in self.quantities},
            "ratios": {
                quantity: {peer: round(self.ratio(name, peer, quantity), 3) for peer in self.against}
                for quantity in self.compared
            },
            "samples": [{key: round(value, 3) for key, value in sample.items()} for sample in self.samples[name]],
        }


async def in_turns(
    contenders: Mapping[str, Callable[[], Awaitable[Sample]]], repetitions: int
) -> dict[str, list[Sample]]:
    """Let each contender run once per repetition, another one first each time."""
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(repetitions):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(await contenders[name]())
    return samples

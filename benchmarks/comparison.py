"""Samples of several contenders, taken in turns, and the ratios between them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
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
        peers: the contenders that all others are held against.
        samples: contender → one sample per repetition, in the order taken.
    """

    title: str
    quantities: Mapping[str, str]
    peers: Sequence[str]
    samples: Mapping[str, Sequence[Sample]]

    def middle(self, contender: str, quantity: str) -> float:
        return median(sample[quantity] for sample in self.samples[contender])

    def ratio(self, contender: str, peer: str, quantity: str) -> float:
        """The median of the ratios within each repetition: both were measured seconds apart."""
        pairs = zip(self.samples[contender], self.samples[peer], strict=True)
        return median(one[quantity] / other[quantity] for one, other in pairs)

    def ratios(self, contender: str) -> dict[str, dict[str, float]]:
        """Peer → quantity → ratio; nothing for a peer itself."""
        held_against = () if contender in self.peers else self.peers
        return {peer: {name: self.ratio(contender, peer, name) for name in self.quantities} for peer in held_against}

    def as_json(self) -> dict[str, Any]:
        return {"title": self.title, "contenders": {name: self._row(name) for name in self.samples}}

    def _row(self, name: str) -> dict[str, Any]:
        return {
            **{quantity: self.middle(name, quantity) for quantity in self.quantities},
            "ratios": self.ratios(name),
            "samples": self.samples[name],
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

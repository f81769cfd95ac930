"""Whether a run is what its route expects. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import msgspec

from config.contracts.run import Run
from config.contracts.sink import Batch
from config.route import Expect

#: Runs that must have been as expected before there is anything usual.
FEWEST = 5


class Counted(NamedTuple):
    """What was counted of some items: `items`, `filled:<field>`, `unfit`; and of the first that does not fit, why."""

    tally: Mapping[str, int]
    seen: Mapping[str, str]


NOTHING = Counted({}, {})


def count(expect: Expect, batch: Batch) -> Counted:
    """Of the items that `read` yields."""
    tally, seen = Counter({"items": batch.count}), dict[str, str]()
    if expect.reads:
        for number, line in zip(batch.numbers, batch.items(), strict=True):
            item = _read(line)
            tally.update(f"filled:{name}" for name in expect.filled if _filled(item, name))
            if expect.schema and (objection := expect.schema.objection(item)):
                tally["unfit"] += 1
                seen.setdefault("unfit", f"row {number}: {objection}")
    return Counted(tally, seen)


def _read(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except RecursionError:  # nested deeper than anybody can say anything of
        return None


def _filled(item: Any, name: str) -> bool:
    value = item.get(name) if isinstance(item, dict) else None
    return value is not None and value not in ("", [], {})


def objections(
    expect: Expect, run: Run, tally: Mapping[str, int], seen: Mapping[str, str], usual: Sequence[int]
) -> list[str]:
    """What is not as expected, each in words; nothing if all is well.

    usual: how many items the last runs had that were.
    """
    items = tally.get("items", 0)
    said = (*_amount(expect, items, usual), *_filling(expect, tally, items), *_fit(tally, seen, items))
    return [*said, *_cost(expect, run, items)]


def _amount(expect: Expect, items: int, usual: Sequence[int]) -> Iterator[str]:
    if expect.min_items is not None and items < expect.min_items:
        yield f"{_counted(items)}, at least {expect.min_items} were expected"
    if expect.max_items is not None and items > expect.max_items:
        yield f"{_counted(items)}, at most {expect.max_items} were expected"
    if expect.drop_from_usual is not None and len(usual) >= FEWEST:
        middle = median(usual)
        if items < _share(1 - expect.drop_from_usual, middle):
            most = _percent(expect.drop_from_usual)
            yield f"{_counted(items)}, {middle:.0f} are usual, and at most {most} fewer were expected"


def _share(share: float, of: float) -> float:
    """7 % of 100 are 7, whatever floats make of it."""
    return round(share * of, 6)


def _percent(share: float) -> str:
    return f"{share * 100:.4g}%"


def _filling(expect: Expect, tally: Mapping[str, int], items: int) -> Iterator[str]:
    for name, share in expect.filled.items():
        filled = tally.get(f"filled:{name}", 0)
        if filled < _share(share, items):
            yield f"`{name}` is filled in {filled} of {items} items, in {_percent(share)} of them it was expected"


def _fit(tally: Mapping[str, int], seen: Mapping[str, str], items: int) -> Iterator[str]:
    if unfit := tally.get("unfit"):
        yield f"{unfit} of {items} items do not fit the schema; {seen.get('unfit', '')}"


def _cost(expect: Expect, run: Run, items: int) -> Iterator[str]:
    """A run whose cost the platform does not tell is as expected."""
    cost = run.cost
    if cost is None:
        return
    if expect.max_usd is not None and cost > expect.max_usd:
        yield f"it cost ${cost:.2f}, at most ${expect.max_usd:.2f} were expected"
    per_1000 = cost * 1000 / max(items, 1)
    if expect.max_usd_per_1000 is not None and per_1000 > expect.max_usd_per_1000:
        yield f"1,000 items cost ${per_1000:.2f}, at most ${expect.max_usd_per_1000:.2f} were expected"


def _counted(items: int) -> str:
    return f"{items} item{'s' * (items != 1)}"

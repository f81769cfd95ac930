"""What a route and a target make of items on their way: `where`, `transform`, `fields`, `set`, `omit`. Pure.

A batch keeps its row numbers. Items that are only chosen stay byte for byte what they were.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from config.language.expression import Clash, Columns, Expression
from config.route import Transform
from workers.routing.decoding import decoded, encoded


class Shaped(NamedTuple):
    """A batch after its way.

    Attributes:
        rejected: of a `strict` step, those whose types do not fit.
        tally: what was counted: `seen` items, `kept` by every `where`, `clash` where types did not fit, `undecided`
            where that kept a `where` that is not `strict` from a word on an item, and for each computed field
            `made:<name>` and `has:<name>`, the items in which it is not null.
    """

    batch: Batch
    rejected: tuple[Rejected, ...] = ()
    tally: Mapping[str, int] = {}


class Shaper:
    """The steps of one stream, in order. `under`: what expressions call one of what passes."""

    def __init__(self, steps: Sequence[Transform], scope: Mapping[str, Any], *, under: str = "item") -> None:
        self._steps = [_Step(step, scope, under) for step in steps if not step.idle]

    @property
    def idle(self) -> bool:
        return not self._steps

    @property
    def functions(self) -> tuple[str, ...]:
        """Where code of somebody's own is found that is called on the way."""
        return tuple(str(step.transform.function) for step in self._steps if step.transform.function)

    def mentions(self, word: str) -> bool:
        """Whether an expression may use this field. A word too many costs a request."""
        return any(word in expression.source for step in self._steps for expression in step.expressions())

    def shape(self, batch: Batch) -> Shaped:
        """Rows keep their numbers. Raises Permanent (template_failed) if a function of somebody's own breaks."""
        if self.idle or not batch.count:
            return Shaped(batch)
        rows = _Rows(list(batch.numbers), decoded(batch), batch.items())
        rows.tally["seen"] += batch.count
        for step in self._steps:
            step.take(rows)
        lines = rows.lines()
        kept = tuple(rows.numbers)
        shaped = replace(batch, lines=lines, count=len(kept), kept=kept)
        return Shaped(shaped, tuple(rows.rejected), rows.tally)


def chosen(transform: Transform, record: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Whether a record is wanted. Types that do not fit are no match. Raises Permanent if the target is `strict`."""
    if transform.where is None:
        return True
    (found,) = transform.where.each([record], scope, "record")
    if isinstance(found, Clash) and transform.strict:
        raise Permanent(Reason.TEMPLATE_FAILED, f"where: {found.why}")
    return bool(found) and not isinstance(found, Clash)


class _Rows:
    """What is left of a batch."""

    def __init__(self, numbers: list[int], items: list[Any], raw: list[bytes]) -> None:
        self.numbers, self.items = numbers, items
        self.raw: list[bytes] | None = raw
        self.rejected: list[Rejected] = []
        self.tally: Counter[str] = Counter()

    def lines(self) -> bytes:
        return encoded(self.items) if self.raw is None else b"".join(line + b"\n" for line in self.raw)

    def keep(self, indexes: Sequence[int]) -> None:
        if len(indexes) == len(self.items):
            return
        self.numbers = [self.numbers[index] for index in indexes]
        self.items = [self.items[index] for index in indexes]
        if self.raw is not None:
            self.raw = [self.raw[index] for index in indexes]

    def reject(self, clashes: Sequence[tuple[int, Clash]]) -> None:
        self.rejected += [Rejected(self.numbers[index], clash.why) for index, clash in clashes]

    def change(self, items: list[Any]) -> None:
        self.items, self.raw = items, None


class _Step:
    def __init__(self, transform: Transform, scope: Mapping[str, Any], under: str) -> None:
        self.transform, self.scope, self.under = transform, scope, under
        self.fields = Columns(transform.fields) if transform.fields is not None else None
        self.set = Columns(transform.set) if transform.set else None

    def expressions(self) -> Iterator[Expression]:
        step = self.transform
        yield from (step.where,) if step.where else ()
        yield from (step.fields or {}).values()
        yield from step.set.values()

    def take(self, rows: _Rows) -> None:
        self._where(rows)
        rows.tally["kept"] = len(rows.items)
        if self.transform.function:
            self._function(rows)
        if self.fields:
            self._compute(rows, self.fields, replacing=True)
        if self.transform.keep:
            keep = self.transform.keep
            rows.change([{name: item[name] for name in keep if name in item} for item in map(_mapping, rows.items)])
        if self.set:
            self._compute(rows, self.set, replacing=False)
        if self.transform.omit:
            omit = set(self.transform.omit)
            rows.change([{k: v for k, v in _mapping(item).items() if k not in omit} for item in rows.items])

    def _where(self, rows: _Rows) -> None:
        if self.transform.where is None:
            return
        found = self.transform.where.each(rows.items, self.scope, self.under)
        self._clashes(rows, found)
        if not self.transform.strict and (undecided := sum(value.__class__ is Clash for value in found)):
            rows.tally["undecided"] += undecided
        rows.keep([index for index, value in enumerate(found) if value and value.__class__ is not Clash])

    def _function(self, rows: _Rows) -> None:
        function, run = self.transform.function, self.scope["run"]
        assert function is not None
        try:
            made = [function.call(item, run) for item in rows.items]
        except Exception as exc:  # whatever somebody's function does; what it says may hold an item
            raise Permanent(Reason.TEMPLATE_FAILED, f"{function}: {type(exc).__name__}") from exc
        rows.change(made)
        rows.keep([index for index, item in enumerate(made) if item is not None])

    def _compute(self, rows: _Rows, columns: Columns, *, replacing: bool) -> None:
        found = columns.each(rows.items, self.scope, self.under)
        self._clashes(rows, found)
        if self.transform.strict:
            fit = [index for index, one in enumerate(found) if not isinstance(one, Clash)]
            found = [found[index] for index in fit]
            rows.keep(fit)
        made = [one.instead or {} if isinstance(one, Clash) else one for one in found]
        for name in columns.expressions:
            rows.tally[f"made:{name}"] += len(made)
            rows.tally[f"has:{name}"] += len(made) - [one[name] for one in made].count(None)
        rows.change(
            made if replacing else [{**_mapping(old), **new} for old, new in zip(rows.items, made, strict=True)]
        )

    def _clashes(self, rows: _Rows, found: Sequence[Any]) -> None:
        if Clash not in set(map(type, found)):
            return
        clashes = [(index, one) for index, one in enumerate(found) if isinstance(one, Clash)]
        rows.tally["clash"] += len(clashes)
        if self.transform.strict:
            rows.reject(clashes)


def _mapping(item: Any) -> dict[str, Any]:
    return item if isinstance(item, dict) else {}

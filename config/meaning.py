"""Whether what a route does with items has a meaning where it stands."""

from collections.abc import Iterator, Mapping
from typing import Literal

from config.checking import Checker
from config.contracts.delivery import Send
from config.document import KeyPath
from config.language.expression import Expression
from config.route import Expect, Only, Read, Transform

#: By what is sent, the name of one of it.
_ONE_OF: Mapping[Send, str] = {"items": "item", "requests": "item", "records": "record"}


def as_rows(send: Send, transform: Transform) -> bool:
    """Whether documents become rows: of records, or of the run itself, those fields that were asked for."""
    return send in {"records", "run"} and transform.fields is not None


def transform_fits(check: Checker, send: Send, transform: Transform, path: KeyPath) -> None:
    """Say what cannot be done with what is sent."""
    if send in {"records", "run"} and transform.fields is None:
        for key in _reshaping(transform):
            row = "fields: {id: run.id}" if send == "run" else "fields: {key: record.key}"
            check.say(f"`{key}` changes items: with `send: {send}` say what they are made of, `{row}`", (*path, key))
    if send == "log":
        for key in (*(["where"] if transform.where else []), *_reshaping(transform)):
            check.say(f"`{key}` has no meaning with `send: log`", (*path, key))
    if send == "run" and transform.where is not None:
        check.say("there is one run: choose it with `when`, or with `where` of the route", (*path, "where"))
    for at, expression in expressions(transform, path):
        roots_fit(check, expression, {"item", "record"} - {_ONE_OF.get(send, "")}, f"with `send: {send}`", at)


def roots_fit(check: Checker, expression: Expression, strangers: set[str], where: str, path: KeyPath) -> None:
    for name in sorted(expression.roots & strangers):
        check.say(f"`{name}` has no meaning {where}", path)


def expect_fits(check: Checker, read: Read, expect: Expect | None, path: KeyPath) -> None:
    """What there must be of items, and in them, needs a route that reads some."""
    if expect is None:
        return
    if "items" in read.streams:
        for name in expect.filled:
            if why := _not_left(name, (read.transform,), "which is to be filled"):
                check.say(why, (*path, "filled", name))
        return
    counts = (expect.min_items, expect.max_items, expect.drop_from_usual)
    said = {"items": any(count is not None for count in counts), "filled": expect.filled, "schema": expect.schema}
    for key in (key for key, value in said.items() if value):
        check.say("this route reads no items: of others only `cost` can be looked at", (*path, key))


def only_fits(
    check: Checker, send: Send, read: Read, only: Only | None, steps: tuple[Transform, ...], path: KeyPath
) -> None:
    """Items can be compared with those of the run before if they come from one list, and each has its key."""
    if only is None:
        return
    if send not in {"items", "requests"}:
        check.say(f"`only` compares items: it has no meaning with `send: {send}`", path)
    if send == "items" and (len(read.dataset) > 1 or "*" in read.dataset):
        check.say("`only` compares the items of one dataset: name just one under `dataset` of `read`", path)
    for name in only.key:
        if why := _no_key(name, steps):
            check.say(why, path)


def rows_have_key(check: Checker, options: object, steps: tuple[Transform, ...], path: KeyPath) -> None:
    """Rows of an upsert are told apart by fields that items must have."""
    if getattr(options, "mode", None) == "upsert":
        for name in getattr(options, "key", ()):
            if why := _not_left(name, steps, "by which rows are told apart"):
                check.say(why, (*path, "key"))


def _no_key(name: str, steps: tuple[Transform, ...]) -> str | None:
    """Why items cannot be compared by such a field, if that is certain."""
    lost = _lost(name, steps)
    if lost == "omit":
        return f"`omit` drops `{name}`, which items are compared by: leave it there"
    if lost == "fields":
        return f"`fields` leaves no `{name}` to compare items by: add it there"
    if lost is None and "." in name:
        short = name.rpartition(".")[2]
        return (
            f"`{name}` is in an object: make it a field with `set: {{{short}: item.{name}}}`, and compare by `{short}`"
        )
    return None


def _not_left(name: str, steps: tuple[Transform, ...], use: str) -> str | None:
    """Why an item has no such field once it is made, if that is certain."""
    said = {
        "omit": f"`omit` drops `{name}`, {use}: leave it there",
        "fields": f"`fields` leaves no `{name}`, {use}: add it there",
    }
    return said.get(_lost(name, steps) or "")


def _lost(name: str, steps: tuple[Transform, ...]) -> Literal["omit", "fields", "made"] | None:
    """By which key a field is lost, or that it is or may be made; None if that depends on the item alone."""
    for step in reversed(steps):
        if name in step.omit:
            return "omit"
        if name in step.set:
            return "made"
        if step.names is not None:
            return "made" if name in step.names else "fields"
        if step.function:
            return "made"
    return None


def expressions(transform: Transform, path: KeyPath) -> Iterator[tuple[KeyPath, Expression]]:
    """Each, with where it stands."""
    if transform.where is not None:
        yield (*path, "where"), transform.where
    for key, computed in (("fields", transform.fields or {}), ("set", transform.set)):
        for name, expression in computed.items():
            yield (*path, key, name), expression


def _reshaping(transform: Transform) -> Iterator[str]:
    """The keys that change items."""
    said = {
        "transform": transform.function,
        "fields": transform.fields is not None or transform.keep,
        "set": transform.set,
        "omit": transform.omit,
    }
    yield from (key for key, value in said.items() if value)

"""Which stream of a run a target is sent, and whether its options have a meaning then."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from config.checking import Checker
from config.contracts.delivery import Send
from config.contracts.sink import SinkModule
from config.document import KeyPath
from config.meaning import as_rows
from config.route import Read, Transform

_READ_LINES = {
    "items": "dataset: default",
    "records": 'records: ["*"]',
    "requests": "requests: true",
    "log": "log_tail: 100",
}
_EACH_DATASET = re.compile(r"\{[{%].*\bdataset\b", re.DOTALL)


def stream_for(check: Checker, sink: str, module: SinkModule, read: Read, path: KeyPath, *, run: bool) -> Send | None:
    """What a target gets that does not say; None if it cannot be told.

    run: whether the run itself is preferred to what is read of it.
    """
    others = module.TAKES - ({"run"} if "log" in read.streams else {"run", "log"})
    if "run" in module.TAKES and (run or not others):
        return "run"
    both: list[Send] = [stream for stream in read.streams if stream in module.TAKES]
    if len(both) == 1:
        return both[0]
    if both:
        message = f"this route reads {_words(both)} and `{sink}` takes each: say which with `send: {both[0]}`"
    else:
        rows = "records" in read.streams and "items" in module.TAKES
        cure = ": `send: records` with `fields` makes rows of them" if rows else ""
        message = f"`{sink}` takes {_words(module.TAKES)}, but this route reads {_words(read.streams)}{cure}"
    check.say(message, (*path, "sink"))
    return None


def can_be_sent(
    check: Checker, send: Send, transform: Transform, sink: str, module: SinkModule, read: Read, path: KeyPath
) -> None:
    """Say why a target cannot have what it asks for."""
    if as_rows(send, transform):
        if "items" not in module.TAKES:
            message = f"`{sink}` cannot take rows, which `fields` makes of {send}: it takes {_words(module.TAKES)}"
            check.say(message, path)
    elif send not in module.TAKES:
        rows = ": name the `fields` to make rows of" if "items" in module.TAKES and send in {"records", "run"} else ""
        check.say(f"`{sink}` cannot take {send}: it takes {_words(module.TAKES)}{rows}", path)
    elif send != "run" and send not in read.streams:
        check.say(f"this route reads no {send}: add `{_READ_LINES[send]}` to its `read:`", path)


def options_fit(check: Checker, send: Send, per: str | None, read: Read, options: BaseModel, path: KeyPath) -> None:
    """Say which options of a target mean nothing with what it is sent."""
    _fits_per(check, send, per, options, path)
    _tells_no_log(check, send, read, options, path)
    if send == "items":
        _path_names_dataset(check, read, options, path)
        _path_names_no_record(check, options, path)


def _fits_per(check: Checker, send: Send, per: str | None, options: Any, path: KeyPath) -> None:
    """A run has neither batches nor items; what goes per run gets no items either."""
    if send == "items" and per == "run":
        check.say("`per: run` gets the run and no items: leave out `send`", (*path, "send"))
    if send == "run" and per in {"batch", "item"}:
        check.say(f"a run has no {per}: leave out `per`", (*path, "per"))
    for option in ("input", "body", "path"):
        told = {"item", "items", "batch"} & getattr(getattr(options, option, None), "roots", frozenset[str]())
        if send not in {"items", "requests"} and told:
            check.say(f"`{min(told)}` has no meaning with `send: {send}`", (*path, option))


def _tells_no_log(check: Checker, send: Send, read: Read, options: BaseModel, path: KeyPath) -> None:
    """The end of the log is told by those that are sent it."""
    cure = f"leave out `send: {send}`" if read.log_tail else f"add `{_READ_LINES['log']}` to the route's `read:`"
    for key, value in options:
        if send != "log" and "log_tail" in getattr(value, "roots", ()):
            check.say(f"`log_tail` has no meaning here: {cure}", (*path, key))


def _path_names_dataset(check: Checker, read: Read, options: Any, path: KeyPath) -> None:
    template = getattr(options, "path", None)
    several = len(read.dataset) > 1 or any("*" in alias for alias in read.dataset)
    if several and template is not None and not _EACH_DATASET.search(str(template)):
        message = "this route reads several datasets, which would overwrite each other: put {{ dataset }} into `path`"
        check.say(message, (*path, "path"))


def _path_names_no_record(check: Checker, options: Any, path: KeyPath) -> None:
    if "record" in getattr(getattr(options, "path", None), "roots", ()):
        check.say("`record` has no meaning in a path for items", (*path, "path"))


def _words(streams: Iterable[str]) -> str:
    return ", ".join(sorted(streams))

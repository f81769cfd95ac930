"""How every process logs: one wide line per thing that happened, to stderr, with secrets masked.

`json` writes one object a line for machines, `console` one readable line for people. Lines of the libraries we stand
on (uvicorn, arq, aiohttp) go through the same chain, so nothing reaches the stream unmasked.
"""

import base64
import json
import logging
import math
import re
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, TextIO
from urllib.parse import quote

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"

#: shorter ones would blank out half of every line; a secret worth the name is longer
SHORTEST = 4

#: the same of what stands for one in base64 or hex
_SHORTEST_ENCODED = 8
_URL_SAFE = str.maketrans("+/", "-_")
#: what keys of Standard Webhooks begin with; senders have them without it
_KEY = "whsec_"

#: a field of one of these names never shows its value, unless that is a plain number
PRIVATE = re.compile(
    r".*(?:authorization|cookie|passwd|password|secret|signature|token|api[-_]?key|access[-_]?key)s?", re.IGNORECASE
)

#: what looks like a secret though nobody told us about it; the named groups are kept, what follows them is not
PATTERNS = re.compile(
    r"(?P<header>\b(?:proxy-)?authorization['\"]?\s*[:=,]\s*(?:b?['\"])?(?:(?:bearer|basic|token)\s+)?|\bbearer\s+)[^\s'\",]+"
    r"|(?P<query>[?&;](?:[a-z_-]*(?:token|signature|credential)|sig|api[-_]?key|secret|password)=)[^\s'\"&<>#]+"
    r"|(?P<userinfo>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@?#]*:)[^\s/]+(?=@)"
    r"|(?P<platform>\bapify_(?:api|proxy)_)\w+"
    r"|(?P<signing>\bwhs(?:ec|k)_)[\w+/=-]+"
    # of names that begin so, none has as many letters with a digit among them
    r"|(?P<key>\b(?:ittybit|sk|r8|gh[opsu]|github_pat)_)(?=\w*\d)\w{16,}",
    re.IGNORECASE,
)
KEPT = r"\g<header>\g<query>\g<userinfo>\g<platform>\g<signing>\g<key>" + MASK

#: a word in which none of the patterns can match: most of what is logged, and quickly seen
PLAIN = re.compile(r"[A-Za-z0-9./-]*")

#: what could move the cursor, start a line or turn text around on a terminal (CWE-117), and what no encoding can write
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]")

#: libraries that say more than we want to read, and the least level we take from them
CHATTER = {
    "arq": logging.WARNING,
    "uvicorn": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}


class Mask:
    """Takes secrets out of text and of whatever a log line carries."""

    def __init__(self) -> None:
        self._known: list[str] = []

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, also as they look inside a URL, inside JSON and in a repr, in base64 and in hex, and
        a key of Standard Webhooks without its prefix."""
        known = set(self._known)
        for secret in secrets:
            known |= _spellings(secret) | _encodings(secret.encode("utf-8", "surrogatepass"))
            if secret.startswith(_KEY):
                known |= _spellings(secret.removeprefix(_KEY))
        long_enough = (spelling for spelling in known if len(spelling) >= SHORTEST)
        self._known = sorted(long_enough, key=len, reverse=True)

    def text(self, text: str) -> str:
        for known in self._known:
            if known in text:
                text = text.replace(known, MASK)
        return text if PLAIN.fullmatch(text) else PATTERNS.sub(KEPT, text)

    def value(self, value: Any) -> Any:
        """The same value made of JSON's types, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.field(str(key), inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner) for inner in value]
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode("utf-8", "backslashreplace"))
        return self.text(str(value))

    def field(self, name: str, value: Any) -> Any:
        hidden = value and not isinstance(value, int | float) and is_private(name)
        return MASK if hidden else self.value(value)

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        if self.has_nothing_to_hide(line):
            return line
        return {name: self.field(name, value) for name, value in line.items()}

    def has_nothing_to_hide(self, line: EventDict) -> bool:
        """Whether all values are numbers and plain words under public names. Most lines are, and quickly seen to be."""
        if not all(map(is_public, line)):
            return False
        words = []
        for value in line.values():
            if type(value) is str:
                words.append(value)
            elif type(value) is not int and not (type(value) is float and math.isfinite(value)):
                return False
        said = "/".join(words)
        return PLAIN.fullmatch(said) is not None and not any(known in said for known in self._known)


def _spellings(secret: str) -> set[str]:
    written = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return {*written, secret.replace("/", r"\/")}


def _encodings(secret: bytes) -> set[str]:
    """In hex, and in base64 as it looks within something longer: wherever it begins, without the characters at its ends
    that hold something else, too. Too short ones could be anything."""
    spelled = {secret.hex(), secret.hex().upper()}
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret).decode()
        core = text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        spelled |= {core, core.translate(_URL_SAFE)}
    return {each for each in spelled if len(each) >= _SHORTEST_ENCODED}


@lru_cache(maxsize=1024)
def is_private(name: str) -> bool:
    return PRIVATE.fullmatch(name) is not None


def is_public(name: str) -> bool:
    return not is_private(name)


_mask = Mask()


def add_secret(*secrets: str) -> None:
    """Mask these in every line from now on, wherever they turn up. Those under four characters are left alone."""
    _mask.add(secrets)


def masked(text: str) -> str:
    """The text as a log would show it, for everything else that prints."""
    return _mask.text(text)


def configure(
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",
    secrets: Iterable[str] = (),
    *,
    stream: TextIO | None = None,
) -> None:
    """Set logging up for this process; may be called again.

    Args:
        level: least level that is written: `debug`, `info`, `warning` or `error`.
        format: `auto` is `console` on a terminal and `json` elsewhere.
        secrets: see `add_secret`.
        stream: where lines go; stderr unless told.
    """
    _mask.add(secrets)
    out = stream or sys.stderr
    least = logging.getLevelNamesMapping()[level.upper()]
    people = format == "console" or (format == "auto" and out.isatty())
    ending = _for_people(out.isatty()) if people else _for_machines()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _route_libraries(least, ending, out)


def _for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, _mask, _headed, _as_json]


def _for_people(colors: bool) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time", pad_event_to=24, sort_keys=False)
    return [structlog.processors.format_exc_info, _mask, _headed, _harmless, renderer]


def _headed(_logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Time, level and event first, where the eye looks for them. Behind the mask: they are ours."""
    head = {"time": _now(), "level": "error" if method == "exception" else method}
    return {**head, "event": line["event"], **line, **head}


def _now() -> str:
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=1)
def _second(since_1970: int) -> str:
    """Many lines are written in one."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


def _as_json(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    """All but printable ASCII is written out, which msgspec would not do: nothing in a line can steer a terminal."""
    try:
        text = msgspec.json.encode(line).decode("ascii")
    except (UnicodeError, OverflowError):
        return json.dumps(line)
    return text if text.isprintable() else json.dumps(line)


def _harmless(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Nothing in a line can look like another line, nor steer the terminal. A traceback keeps its lines, indented."""
    traceback = line.pop("exception", None)
    clean: EventDict = {
        escaped(name): escaped(value) if isinstance(value, str) else value for name, value in line.items()
    }
    if traceback is not None:
        clean["exception"] = "\n".join("    " + escaped(each) for each in str(traceback).split("\n"))
    return clean


def escaped(text: str) -> str:
    """The text with control and direction characters written out, as in `\\x1b`."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _route_libraries(least: int, ending: list[Processor], out: TextIO) -> None:
    """Standard-library logging takes the same way; what was set up before is replaced."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    for name, quiet in CHATTER.items():
        logging.getLogger(name).setLevel(max(least, quiet))
    # its lines are paths, and a path may hold a token
    logging.getLogger("uvicorn.access").disabled = True

"""What `${…}` put into templates and expressions: it may be a secret, and it must not change what is written around it.

Whoever validates texts of a file says which of them were filled; templates and expressions look there for theirs.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Part(NamedTuple):
    """Where in a text a value was put, and the reference as written."""

    begin: int
    end: int
    reference: str


#: text → what was put into it
Texts = Mapping[str, tuple[Part, ...]]

_TEXTS: ContextVar[Texts] = ContextVar("_TEXTS")
#: what ends a text between quotes or the braces around it, or makes the next character mean something else
_ENDS = {"'": "a quote", '"': "a quote", "\\": "a backslash", "{": "a brace", "}": "a brace"}
_BEGINS = re.compile(r"\{[{%#]")
_BRACED = re.compile(r"\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)", re.DOTALL)
#: what may be a part of a secret
_WORD = re.compile(r"\w{3,}")


@contextmanager
def filled_in(texts: Texts) -> Iterator[None]:
    """Meanwhile these texts are known to be filled."""
    before = _TEXTS.set(texts)
    try:
        yield
    finally:
        _TEXTS.reset(before)


@contextmanager
def put_into(text: str, *, braced: bool) -> Iterator[None]:
    """Meanwhile it is read. Raises ValueError for a value that would mean more than text; and no other ValueError
    tells anything of a value.

    braced: whether only what stands between braces is read.
    """
    parts = _TEXTS.get({}).get(text, ())
    _harmless(text, parts, braced=braced)
    try:
        yield
    except ValueError as exc:
        raise ValueError(_untold(str(exc), text, parts)) from None


def _harmless(text: str, parts: tuple[Part, ...], *, braced: bool) -> None:
    """A text that is one reference and nothing else is whatever its value says."""
    if len(parts) == 1 and parts[0][:2] == (0, len(text)):
        return
    spans = [found.span() for found in _BRACED.finditer(_without(text, parts, "x"))] if braced else [(0, len(text))]
    for part in parts:
        value = text[part.begin : part.end]
        if any(begin < part.end and part.begin < end for begin, end in spans):
            if odd := next((_ENDS[one] for one in value if one in _ENDS), None):
                raise ValueError(f"the value of {part.reference} has {odd}, which would change what stands around it")
        elif _BEGINS.search(text[max(part.begin - 1, 0) : part.end + 1]):
            raise ValueError(f"the value of {part.reference} has a brace, which would begin an expression")


def _without(text: str, parts: tuple[Part, ...], instead: str) -> str:
    """The text with a character for each one that was put into it."""
    for begin, end, _ in parts:
        text = text[:begin] + instead * (end - begin) + text[end:]
    return text


def _untold(message: str, text: str, parts: tuple[Part, ...]) -> str:
    """A message without the values, and without those of their words that are not written in the text as well."""
    values = {text[begin:end]: reference for begin, end, reference in parts if end > begin}
    for value in sorted(values, key=len, reverse=True):
        put_back = values[value].replace("\\", r"\\")
        message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", put_back, message)
    written = _without(text, parts, " ") + " ".join(values.values())
    theirs = {*_WORD.findall(" ".join(values))} - {*_WORD.findall(written)}
    return _WORD.sub(lambda found: "…" if found[0] in theirs else found[0], message)

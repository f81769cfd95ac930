"""Numbers as people and shops write them."""

import re
from math import isfinite

from config.language.operators import Misfit

#: characters of a text in which a number is looked for
_MOST = 200
#: what most texts are: nothing that could be read in two ways
_USUAL = re.compile(
    r"[^\d.,'’\s−–-]*\s?"
    r"(?:(\d+)(?:[.,](\d\d?))?|(\d{1,3}(?:\.\d{3})+),(\d+)|(\d{1,3}(?:,\d{3})+)\.(\d+))"
    r"\s?[^\d.,'’\s−–-]*"
)
#: as programs write numbers
_PROGRAM = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
#: digits in groups; what stands between two groups is one mark
_FIGURE = re.compile(r"\d+(?:[.,'’\s]\d+)*")
_MARK = re.compile(r"[.,'’\s]")
#: a minus before a figure, with a currency on either side; a dash between words is none
_MINUS = re.compile(r"(?:^[-−–]\s?[^\w\s.,]?\s?|[\s(:][-−–][^\w\s.,]?|[^\w\s.,][-−–])[.,]?$")
#: a mark without a zero before it
_STARTS = re.compile(r"(?<![\w.,])[.,]$")


def figure(text: str, decimal: str | None = None) -> float | None:
    """The one number in a text without white space at its ends; None if there is none.

    Of two marks the last one is the decimal mark. One comma before three digits groups them, every other mark that
    stands once is the decimal mark; `decimal` says it where that would be wrong.

    Raises Misfit if there are several numbers, or none that can be understood.
    """
    if len(text) > _MOST:
        raise Misfit(f"`number` reads texts of {_MOST} characters at most")
    if decimal is None:
        if usual := _USUAL.fullmatch(text):
            plain, cents, dotted, behind, grouped, after = usual.groups()
            if plain:
                return _finite(f"{plain}.{cents or '0'}")
            return _finite(f"{dotted.replace('.', '')}.{behind}" if dotted else f"{grouped.replace(',', '')}.{after}")
        if _PROGRAM.fullmatch(text):
            return _finite(text)
    return _looked_for(text, decimal)


def _looked_for(text: str, decimal: str | None) -> float | None:
    found = list(_FIGURE.finditer(text))
    if not found:
        return None
    if len(found) > 1:
        raise Misfit("`number` found several numbers in a text")
    before = text[: found[0].start()]
    started = _STARTS.search(before)
    return _finite(
        ("-" if _MINUS.search(before) else "") + _written((started[0] if started else "") + found[0][0], decimal)
    )


def _finite(written: str) -> float:
    number = float(written)
    if not isfinite(number):
        raise Misfit("`number` found a number that is too large")
    return number


def _written(digits: str, decimal: str | None) -> str:
    """The same as Python writes it."""
    marks = ["'" if mark not in ".," else mark for mark in _MARK.findall(digits)]
    groups = _MARK.split(digits)
    ends = bool(marks) and _is_decimal(marks, groups, decimal)
    whole, rest = (groups[:-1], groups[-1]) if ends else (groups, "")
    if len(set(marks[:-1] if ends else marks)) > 1 or not _are_groups(whole):
        raise Misfit("`number` found digits that are grouped in no known way")
    return f"{''.join(whole) or '0'}.{rest or '0'}"


def _is_decimal(marks: list[str], groups: list[str], decimal: str | None) -> bool:
    """Whether the last mark is the decimal mark."""
    last = marks[-1]
    if decimal is not None or last == "'" or marks.count(last) > 1:
        return last == decimal
    alone = len(marks) == 1
    return not (alone and last == "," and len(groups[1]) == 3 and groups[0] not in ("", "0") and len(groups[0]) <= 3)


def _are_groups(groups: list[str]) -> bool:
    """Groups of three; in India of two, and the last one of three."""
    first, *others = groups
    if not others:
        return True
    *between, last = map(len, others)
    return 1 <= len(first) <= 3 and last == 3 and (set(between) <= {3} or set(between) <= {2})

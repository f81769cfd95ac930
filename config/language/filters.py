"""The filters of the language: each function here is one, under its own name.

The names of Python's own words have a `_` behind them, which the language does not know. What is missing or null comes
out of every filter as null, except out of `default`; so do texts of white space where a filter reads something out of a
text. Each docstring says what comes out, with examples that are tests.
"""

import hashlib
import inspect
import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import wraps
from hmac import digest
from typing import Any
from urllib.parse import urlsplit

from config.language.figures import figure
from config.language.operators import DEEPEST, MOST, Misfit, key, kind
from config.language.printed import Code, printed, written

#: characters of the form of a date, and parts of a text
_MOST_FORM, _MOST_PARTS = 100, 10_000
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")


def code(value: Any) -> str:
    """As it is, in letters of one width: between fences of backticks, and in a message as its medium has it.

    `'' | code` → `''`; `'ls -l' | code | length` → `13`.
    """
    return Code(_text(value))


def date(value: Any, form: Any = "%Y-%m-%d") -> str | None:
    """The day of an ISO 8601 timestamp in UTC, or another form of it, written as for `strftime`.

    `'2026-01-31T23:59:00.000Z' | date` → `'2026-01-31'`; `'2026-02-01T00:30:00+01:00' | date('%d.%m.')` → `'31.01.'`.
    """
    text = _stripped("date", value)
    if not text:
        return None
    if not isinstance(form, str) or len(form) > _MOST_FORM:
        raise Misfit(f"`date` needs a form of at most {_MOST_FORM} characters")
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).strftime(form)
    except UnicodeError:
        raise Misfit("`date` cannot write that form") from None
    except (ValueError, OverflowError):
        raise Misfit("`date` needs an ISO 8601 timestamp") from None


def default(value: Any, instead: Any = "") -> Any:
    """Something else where a value is missing, null or an empty text.

    `none | default('x')` → `'x'`; `'' | default('x')` → `'x'`; `0 | default(1)` → `0`.
    """
    return instead if value is None or value == "" else value


def domain(value: Any) -> str | None:
    """The host of a URL in lower case, without `www.` and port. A host alone is one, too.

    `'https://www.Shop.example.co.uk/x?y=1' | domain` → `'shop.example.co.uk'`;
    `'shop.example:8080/x' | domain` → `'shop.example'`.
    """
    text = _stripped("domain", value)
    if not text:
        return None
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        host = ""
    host = host.rstrip(".").removeprefix("www.")
    if not _HOST.fullmatch(host):
        raise Misfit("`domain` needs a URL or a host")
    return host


def duration(value: Any) -> str | None:
    """Seconds in words, in two units at most.

    `192.4 | duration` → `'3m 12s'`; `90061 | duration` → `'1d 1h'`; `0.25 | duration` → `'0.2s'`.
    """
    seconds = _number("duration", value, "seconds")
    if seconds is None:
        return None
    if abs(seconds) < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    left, words = round(abs(seconds)), list[tuple[int, str]]()
    for unit, long in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        many, left = divmod(left, long)
        if many or words:
            words.append((many, unit))
    said = " ".join(f"{many}{unit}" for many, unit in words[:2] if many) or "0s"
    return f"-{said}" if seconds < 0 else said


def first(value: Any) -> Any:
    """The first element of a list, or character of a text; null if there is none.

    `['a', 'b'] | first` → `'a'`; `[] | first` → `none`.
    """
    return key(_several("first", value), 0)


def hmac(value: Any, key: Any) -> str:
    """HMAC-SHA256 with a key, in hexadecimal: the same person gets the same name, and nobody can try out which.

    `'jane@example.com' | hmac('k') | length` → `64`;
    `'jane' | hmac('k') == 'jane' | hmac('another')` → `false`.
    """
    if not isinstance(key, str) or not key:
        raise Misfit("`hmac` needs a text as its key")
    return digest(_bytes(key), _bytes(_text(value)), "sha256").hex()


def int_(value: Any) -> int | None:
    """A whole number: of a number, what stands before the decimal mark; of a text, what `number` reads in it.

    `9.9 | int` → `9`; `'1.299,50 €' | int` → `1299`.
    """
    read = number(value)
    return None if read is None else int(read)


def join(value: Any, between: Any = "") -> str:
    """The elements of a list as one text. Null elements are left out.

    `['a', 'b'] | join(', ')` → `'a, b'`; `['a', none, 1] | join('/')` → `'a/1'`.
    """
    if not isinstance(value, list | tuple) or not isinstance(between, str):
        raise Misfit(f"`join` needs a list and a text, not {kind(value)} and {kind(between)}")
    parts = [printed(part) for part in value if part is not None]
    if sum(map(len, parts)) + len(between) * len(parts) > MOST:
        raise Misfit(f"more than {MOST} characters are put together")
    return between.join(parts)


def json(value: Any) -> str:
    """The value as JSON, without spaces.

    `['a', 1, none] | json` → `'["a",1,null]'`; `'a' | json` → `'"a"'`.
    """
    return written(value)


def last(value: Any) -> Any:
    """The last element of a list, or character of a text; null if there is none.

    `['a', 'b'] | last` → `'b'`; `[] | last` → `none`.
    """
    return key(_several("last", value), -1)


def length(value: Any) -> int:
    """How many characters a text, elements a list or keys an object has.

    `'abc' | length` → `3`; `['a', 'b'] | length` → `2`; `none | length` → `none`.
    """
    if not isinstance(value, str | list | tuple | dict):
        raise Misfit(f"`length` of {kind(value)}")
    return len(value)


def lower(value: Any) -> str:
    """In lower case.

    `'SUCCEEDED' | lower` → `'succeeded'`; `'TIMED-OUT' | lower` → `'timed-out'`.
    """
    return _text(value).lower()


def map_(value: Any, attribute: Any) -> list[Any]:
    """Of each object of a list what lies under a key, or a path with dots. What is missing is null.

    `[{'url': 'a'}, {'url': 'b'}] | map('url')` → `['a', 'b']`;
    `[{'size': {'w': 1}}, {}] | map('size.w')` → `[1, none]`.
    """
    if not isinstance(value, list | tuple) or not isinstance(attribute, str):
        raise Misfit(f"`map` needs a list and a key, not {kind(value)} and {kind(attribute)}")
    names = attribute.split(".", DEEPEST)
    if len(names) > DEEPEST:
        raise Misfit(f"`map` goes {DEEPEST} keys deep at most")
    found = list(value)
    for name in names:
        found = [key(one, name) for one in found]
    return found


def mask(value: Any) -> str:
    """The first and the last character with four stars between them; of texts below five characters, the stars alone.

    `'secret' | mask` → `'s****t'`; `'jane@example.com' | mask` → `'j****m'`; `'1234' | mask` → `'****'`.
    """
    text = _text(value).strip()
    return f"{text[0]}****{text[-1]}" if len(text) >= 5 else "****"


def number(value: Any, decimal: Any = None, *, otherwise: Any = ...) -> Any:
    """The one number in a text, whatever stands around it. Of two marks the last one is the decimal mark; one comma
    before three digits groups them, any other mark that stands once is the decimal mark. `number(',')` says that the
    decimal mark is a comma. A number stays as it is. A text without a number, or with several, does not fit, unless
    `otherwise` says what it stands for.

    `'1.299,00 €' | number` → `1299.0`; `'$1,299.00' | number` → `1299.0`; `'9.90' | number` → `9.9`;
    `'1,299' | number` → `1299.0`; `'1.299 €' | number(',')` → `1299.0`; `'1 299,50' | number` → `1299.5`;
    `7 | number` → `7`; `'' | number` → `none`; `'sold out' | number(otherwise=none)` → `none`.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if decimal not in (None, ".", ","):
        raise Misfit("`number` knows the decimal marks '.' and ','")
    try:
        text = _stripped("number", value)
        read = figure(text, decimal) if text else None
        if text and read is None:
            raise Misfit("`number` found no number in a text")
    except Misfit:
        if otherwise is ...:
            raise
        return otherwise
    return read


def round_(value: Any, digits: Any = 0) -> int | float:
    """Rounded as at school, to so many digits behind the decimal mark; without any, a whole number.

    `9.995 | round(2)` → `10.0`; `2.5 | round` → `3`; `1299 | round(-2)` → `1300`.
    """
    if kind(value) != "number" or kind(digits) != "number" or digits not in range(-15, 16):
        raise Misfit(f"`round` needs a number and at most 15 digits, not {kind(value)}")
    if abs(value) >= 1e15 or (isinstance(value, int) and digits >= 0):
        return value  # type: ignore[no-any-return]  # a number, by its kind
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return float(rounded) if digits > 0 else int(rounded)


def sha256(value: Any) -> str:
    """Its SHA-256 in hexadecimal; of what is no text, that of its JSON.

    `'a' | sha256 | length` → `64`;
    `'' | sha256` → `'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'`.
    """
    return hashlib.sha256(_bytes(_text(value))).hexdigest()


def slug(value: Any) -> str:
    """Lower-case ASCII words joined by hyphens; a text without any becomes eight digits of its SHA-256.

    `'Café & Co.' | slug` → `'cafe-co'`; `'acme/shop-de' | slug` → `'acme-shop-de'`; `'日本' | slug` → `'cf2abf0c'`.
    """
    text = _text(value)
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", bare).strip("-")
    return words or (hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8] if text else "")


def split(value: Any, at: Any = ",") -> list[str]:
    """The parts of a text, without white space around them and without empty ones.

    `'a, b,,c' | split` → `['a', 'b', 'c']`; `'Home > Shoes' | split('>')` → `['Home', 'Shoes']`.
    """
    if not isinstance(value, str) or not isinstance(at, str) or not at:
        raise Misfit(f"`split` needs two texts, not {kind(value)} and {kind(at)}")
    parts = value.split(at, _MOST_PARTS)
    if len(parts) > _MOST_PARTS:
        raise Misfit(f"`split` makes {_MOST_PARTS:,} parts at most")
    return [bare for part in parts if (bare := part.strip())]


def string(value: Any) -> str:
    """A text: of what is none, its JSON.

    `42 | string` → `'42'`; `true | string` → `'true'`; `['a'] | string` → `'["a"]'`.
    """
    return _text(value)


def trim(value: Any) -> str:
    """Without white space at both ends.

    `'  a b ' | trim` → `'a b'`; `none | trim` → `none`.
    """
    return value.strip() if value.__class__ is str else _text(value).strip()


def upper(value: Any) -> str:
    """In upper case.

    `'eur' | upper` → `'EUR'`; `'de-at' | upper` → `'DE-AT'`.
    """
    return _text(value).upper()


def usd(value: Any) -> str | None:
    """An amount of US dollars, with more digits below a cent.

    `1234.5 | usd` → `'$1,234.50'`; `0.00421 | usd` → `'$0.0042'`.
    """
    amount = _number("usd", value, "a number")
    if amount is None:
        return None
    digits = 2 if amount == 0 or abs(amount) >= 0.01 else min(12, 1 - math.floor(math.log10(abs(amount))))
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def _text(value: Any) -> str:
    return value if value.__class__ is str else printed(value)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _stripped(name: str, value: Any) -> str:
    """Raises Misfit for what is no text."""
    if not isinstance(value, str):
        raise Misfit(f"`{name}` of {kind(value)}")
    return value.strip()


def _several(name: str, value: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise Misfit(f"`{name}` of {kind(value)}")
    return value


def _number(name: str, value: Any, what: str) -> float | None:
    """A number, or a text that is nothing else. Raises Misfit."""
    if isinstance(value, str) and not value.strip():
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise Misfit(f"`{name}` needs {what}")
    return found


def _quiet(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, out of which null comes as null."""

    @wraps(filter_)
    def passed(value: Any, *arguments: Any, **named: Any) -> Any:
        return None if value is None else filter_(value, *arguments, **named)

    return passed


#: name → function: every function that is defined above
FILTERS: dict[str, Callable[..., Any]] = {
    name.removesuffix("_"): found if name == "default" else _quiet(found)
    for name, found in list(globals().items())
    if inspect.isfunction(found) and found.__module__ == __name__ and not name.startswith("_")
}

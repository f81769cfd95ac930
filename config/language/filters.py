"""The filters a template may use: each function here is one, under its own name.

None and missing values pass through quietly, as empty text.
"""

import hashlib
import inspect
import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jinja2 import Undefined

from config.language.printed import Code, printed


def date(value: Any, form: str = "%Y-%m-%d") -> str:
    """The day of an ISO 8601 timestamp in UTC, or `strftime` with another form.

    `2026-01-31T23:59:00.000Z | date` → `2026-01-31`; `… | date('%Y/%m')` → `2026/01`.
    """
    text = printed(value)
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("date needs an ISO 8601 timestamp") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).strftime(form)


def slug(value: Any) -> str:
    """Lower-case ASCII words joined by hyphens; a text without any becomes eight digits of its sha256.

    `Café & Co.` → `cafe-co`; `acme/shop-de` → `acme-shop-de`.
    """
    text = printed(value)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words or (hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8] if text else "")


def trim(value: Any) -> str:
    """Without white space at both ends. `"  a b "` → `a b`; a missing value → nothing."""
    return printed(value).strip()


def default(value: Any, instead: Any = "") -> Any:
    """`instead` where the value is missing, null or empty text. `null | default('x')` → `x`; `0 | default(1)` → `0`."""
    return instead if isinstance(value, Undefined) or value is None or value == "" else value


def lower(value: Any) -> str:
    """In lower case. `SUCCEEDED` → `succeeded`; `TIMED-OUT` → `timed-out`."""
    return printed(value).lower()


def upper(value: Any) -> str:
    """In upper case. `eur` → `EUR`; `de-at` → `DE-AT`."""
    return printed(value).upper()


def duration(value: Any) -> str:
    """Seconds in words, in two units at most. `192.4` → `3m 12s`; `90061` → `1d 1h`; `0.25` → `0.2s`."""
    text = printed(value)
    if not text:
        return ""
    seconds = _finite(text, "duration needs seconds")
    if abs(seconds) < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    left, words = round(abs(seconds)), list[tuple[int, str]]()
    for unit, long in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        many, left = divmod(left, long)
        if many or words:
            words.append((many, unit))
    said = " ".join(f"{many}{unit}" for many, unit in words[:2] if many) or "0s"
    return f"-{said}" if seconds < 0 else said


def usd(value: Any) -> str:
    """An amount of US dollars, with more digits below a cent. `1234.5` → `$1,234.50`; `0.00421` → `$0.0042`."""
    text = printed(value)
    if not text:
        return ""
    amount = _finite(text, "usd needs a number")
    digits = 2 if amount == 0 or abs(amount) >= 0.01 else min(12, 1 - math.floor(math.log10(abs(amount))))
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def code(value: Any) -> str:
    """As it is, in letters of one width: between fences of backticks, and in a message as its medium has it.

    `log_tail | code` → a line of three backticks, the log, and such a line; a missing value → nothing.
    """
    return Code(printed(value))


def _finite(text: str, otherwise: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(otherwise)
    return number


#: name → function: every function that is defined above
FILTERS: dict[str, Callable[..., Any]] = {
    name: found
    for name, found in list(globals().items())
    if inspect.isfunction(found) and found.__module__ == __name__ and not name.startswith("_")
}

"""Written amounts: `10m`, `4MiB`, `5/s`, `50%`. One parser and one message each.

As pydantic types (`Duration`, `Size`, `Rate`, `Share`) they serve every model of runrelay.yaml, a sink's and a
source's own too: `timeout: Duration = 30.0`. Values that are numbers already lack their unit and are refused.
"""

import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, WithJsonSchema

# So many digits always fit a float, and say more than anybody means.
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?([A-Za-z%]+)", re.ASCII)
_RATE = re.compile(r"([0-9]{1,12})/([0-9.]*[a-z]+)", re.ASCII)

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class NotAnAmount(ValueError):
    """What was written is no such amount. The message never repeats it."""


class PerTime(NamedTuple):
    """So many in so many seconds: `5/s` is (5, 1.0), `1/15m` is (1, 900.0)."""

    many: int
    seconds: float


def seconds(written: object) -> float:
    """`10m` → 600.0. Units: ms, s, m, h, d; 0 needs none.

    Raises NotAnAmount.
    """
    amount = _amount(written, _SECONDS)
    if amount is None:
        raise NotAnAmount("not a duration: write a number and a unit (ms, s, m, h, d), such as 10m")
    return amount


def octets(written: object) -> int:
    """`4MiB` → 4194304. Units: B, kB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024); 0 needs none.

    Raises NotAnAmount.
    """
    amount = _amount(written, _BYTES)
    if amount is None or amount != int(amount):
        raise NotAnAmount("not a size: write a number and a unit (B, kB, MB, GB, KiB, MiB, GiB), such as 4MiB")
    return int(amount)


def per_time(written: object) -> PerTime:
    """`5/s` → PerTime(5, 1.0); the time may have a number, as in `1/15m`.

    Raises NotAnAmount.
    """
    match = _RATE.fullmatch(written) if isinstance(written, str) else None
    length = match[2] if match and match[2][0].isdigit() else f"1{match[2]}" if match else ""
    span = _amount(length, _SECONDS)
    if match is None or not span or not int(match[1]):
        raise NotAnAmount("not a rate: write how many per time, such as 5/s or 1/15m")
    return PerTime(int(match[1]), span)


def share(written: object) -> float:
    """`50%` → 0.5; from 0% to 100%.

    Raises NotAnAmount.
    """
    amount = _amount(written, {"%": 0.01})
    if amount is None or amount > 1:
        raise NotAnAmount("not a percentage: write a number from 0 to 100 and %, such as 50%")
    return amount


def _amount(written: object, units: Mapping[str, float]) -> float | None:
    if isinstance(written, bool):
        return None
    if written in (0, "0"):
        return 0.0
    match = _AMOUNT.fullmatch(written) if isinstance(written, str) else None
    if match is None or match[2] not in units:
        return None
    return float(match[1]) * units[match[2]]


def _written(pattern: str) -> WithJsonSchema:
    """How an amount looks in a file."""
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^({pattern})$"}, {"const": 0}]})


_NUMBER = "[0-9]{1,12}([.][0-9]{1,12})? ?"
_TIME = f"0|{_NUMBER}({'|'.join(_SECONDS)})"

#: seconds
Duration = Annotated[float, BeforeValidator(seconds), _written(_TIME)]
#: bytes
Size = Annotated[int, BeforeValidator(octets), _written(f"0|{_NUMBER}({'|'.join(_BYTES)})")]
Rate = Annotated[
    PerTime,
    BeforeValidator(per_time),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,12}/[0-9.]*(ms|s|m|h|d)$"}),
]
#: 0.0 to 1.0
Share = Annotated[float, BeforeValidator(share), _written(f"0|{_NUMBER}%")]

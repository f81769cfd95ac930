"""Items as Python's JSON types and back, whole batches at a time.

Integers of any size, and halves of surrogate pairs, which JavaScript writes and msgspec refuses, come out as they
went in.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch

_decode_all = msgspec.json.Decoder().decode_lines
_decode = msgspec.json.Decoder().decode
_encode_all = msgspec.json.Encoder().encode_lines
_encode = msgspec.json.Encoder().encode


def decoded(batch: Batch) -> list[Any]:
    """The items of a batch. Raises Permanent (template_failed) for one that Python cannot hold."""
    try:
        return _decode_all(batch.lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [_odd(row, number) for row, number in zip(batch.items(), batch.numbers, strict=True)]


def _odd(row: bytes, number: int) -> Any:
    try:
        return _decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(row.decode("utf-8", "surrogatepass"))
    except RecursionError:
        why = "is nested too deeply"
    except ValueError:
        why = "is no JSON"
    raise Permanent(Reason.TEMPLATE_FAILED, f"row {number} {why}: nothing can be asked of it")


def encoded(items: Sequence[Any]) -> bytes:
    """A line for each. Raises Permanent (template_failed) for what JSON cannot say."""
    try:
        return _encode_all(items)
    except (OverflowError, UnicodeEncodeError, RecursionError, TypeError, ValueError):
        return b"".join(_odd_line(item) + b"\n" for item in items)


def _odd_line(item: Any) -> bytes:
    try:
        return _encode(item)
    except (OverflowError, UnicodeEncodeError, RecursionError, TypeError, ValueError):
        pass
    try:
        return json.dumps(item, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise Permanent(Reason.TEMPLATE_FAILED, "an item became what JSON cannot say") from None

"""`clean: true`: drop hidden fields and empty items on our side, so that row numbers stay what they are."""

from dataclasses import replace

import msgspec

from config.contracts.sink import Batch

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def clean(batch: Batch) -> tuple[Batch, int]:
    """The batch without fields whose name begins with `#` and without rows that are empty then, and how many those
    were (Apify: "clean" of Get dataset items). Values stay as they were written; a row that is no object stays whole.
    """
    kept = [row for row in map(_visible, batch.items()) if row not in {b"{}", b"null", b"[]", b'""'}]
    lines = b"".join(row + b"\n" for row in kept)
    return replace(batch, lines=lines, count=len(kept)), batch.count - len(kept)


def _visible(row: bytes) -> bytes:
    if b'"#' not in row:
        return row
    try:
        fields = _OBJECT.decode(row)
    except (msgspec.DecodeError, RecursionError):
        return row
    if not any(name.startswith("#") for name in fields):
        return row
    return msgspec.json.encode({name: value for name, value in fields.items() if not name.startswith("#")})

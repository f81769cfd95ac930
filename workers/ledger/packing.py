"""A run as the ledger keeps it: JSON, compressed with what most runs have in common, a fifth of its size."""

import zlib

import msgspec

from config.contracts.run import Run
from config.wire.words import WORDS

#: By what streams call them.
_KNOWN = {zlib.adler32(WORDS): WORDS}


def pack(run: Run) -> bytes:
    """A zlib stream (RFC 1950) with a preset dictionary."""
    pressed = zlib.compressobj(level=9, zdict=WORDS)
    return pressed.compress(msgspec.json.encode(run)) + pressed.flush()


def unpack(packed: bytes) -> Run:
    """Also of the plain JSON that earlier versions kept. The stream itself names its dictionary by checksum."""
    if not packed.startswith(b"{"):
        packed = zlib.decompressobj(zdict=_KNOWN[int.from_bytes(packed[2:6])]).decompress(packed)
    return msgspec.json.decode(packed, type=Run)

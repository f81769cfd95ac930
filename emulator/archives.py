"""A ZIP of records that is made while it is sent; it never has to fit into memory or on disk."""

import zipfile
from collections.abc import Iterable, Iterator

from emulator.records import Record


def zipped(records: Iterable[Record]) -> Iterator[bytes]:
    """The archive's bytes, one file for each record, named after its key; records deleted meanwhile are left out."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for record in records:
            if record.path.exists():
                entry = zipfile.ZipInfo(record.key)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as file:
                    for piece in record.pieces():
                        file.write(piece)
                        yield sink.take()
    yield sink.take()


class _Sink:
    """A file that can only be written: `ZipFile` asks no more of one that it cannot seek in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def write(self, data: bytes, /) -> int:
        self._buffer += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

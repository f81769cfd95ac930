"""Items in the format that was asked for, as pieces of bytes; how much there is never matters to memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from emulator.items.reading import Reading
from emulator.items.tables import as_csv, as_html
from emulator.items.window import Window
from emulator.items.workbook import as_xlsx
from emulator.items.xml import as_rss, as_xml

_BOM = b"\xef\xbb\xbf"
_PIECE = 256 * 1024


@dataclass(frozen=True)
class Source:
    """The dataset that is read: what a feed tells about it."""

    id: str
    label: str
    url: str


@dataclass(frozen=True)
class Records:
    """What becomes of a window's rows. Tables go over it twice: once for their columns, once for their rows."""

    window: Window
    reading: Reading

    @property
    def are_rows(self) -> bool:
        """Whether the rows are wanted just as they lie there."""
        return not (self.reading.transformation or self.reading.desc)

    def __iter__(self) -> Iterator[bytes]:
        rows, transformation = self.window.rows(desc=self.reading.desc), self.reading.transformation
        return transformation.apply(rows) if transformation else rows


def written(records: Records, source: Source) -> Iterator[bytes]:
    """The body of the answer."""
    reading = records.reading
    if reading.bom:
        yield _BOM
    if reading.format == "xlsx":
        yield from as_xlsx(records, reading.transformation.columns)
    elif reading.format == "jsonl":
        yield from records.window.pieces() if records.are_rows else _joined(record + b"\n" for record in records)
    elif reading.format == "json":
        yield b"["
        yield from _with_commas(records.window) if records.are_rows else _joined(_separated(records))
        yield b"]"
    else:
        yield from _joined(map(_utf8, _texts(records, source)))


def _texts(records: Records, source: Source) -> Iterator[str]:
    reading, columns = records.reading, records.reading.transformation.columns
    if reading.format == "csv":
        return as_csv(records, columns, delimiter=reading.delimiter, header=reading.header)
    if reading.format == "html":
        return as_html(records, columns)
    if reading.format == "xml":
        return as_xml(records, reading.xml_root, reading.xml_row)
    title = reading.feed_title or f"Dataset {source.label}"
    description = reading.feed_description or f'Items in dataset with id "{source.id}".'
    return as_rss(records, title, description, source.url)


def _with_commas(window: Window) -> Iterator[bytes]:
    """The window's lines as the inside of a JSON array; a raw line break never occurs inside a row."""
    before = b""
    for piece in window.pieces():
        joined = before + piece
        whole, before = (joined[:-1], b"\n") if joined.endswith(b"\n") else (joined, b"")
        yield whole.replace(b"\n", b",\n")


def _separated(records: Iterable[bytes]) -> Iterator[bytes]:
    for index, record in enumerate(records):
        yield b",\n" + record if index else record


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Many small parts as pieces of some 256 KiB."""
    buffer = bytearray()
    for part in parts:
        buffer += part
        if len(buffer) >= _PIECE:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # JSON may hold half of a surrogate pair; UTF-8 may not
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()

"""From JSON Lines to CSV, Parquet or Excel: a finished file is read twice, once for its columns, once for its rows.

A conversion is pure: the same lines, format and layout make the same bytes, however often it is tried.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.sink import Batch, Rejected
from workers.formats import parquet, separated, workbook
from workers.formats.choosing import Format
from workers.formats.layout import Layout
from workers.formats.lines import Staged, members_of, parsed
from workers.rows import Unfit


@dataclass(frozen=True, slots=True)
class Written:
    """What lies there after a conversion, as it was read back.

    Attributes:
        rows: without the header.
        bytes: size of the file.
    """

    rows: int
    bytes: int


def sift(batch: Batch, format: Format, layout: Layout) -> tuple[bytes, tuple[Rejected, ...]]:
    """The lines of a batch that can be written in that format, and the items that cannot. Blocks."""
    if not format.converted or _all_fit(batch.lines, format):
        return batch.lines, ()
    rejected = tuple(_objections(batch, format, layout))
    if not rejected:
        return batch.lines, ()
    bad = {one.offset for one in rejected}
    numbered = zip(batch.numbers, batch.items(), strict=False)
    return b"".join(item + b"\n" for number, item in numbered if number not in bad), rejected


def convert(
    staged: Path, to: Path, format: Format, layout: Layout, pulse: Callable[[], None] = lambda: None
) -> Written:
    """Make a file of that format out of finished JSON Lines, packed or not. Blocks; memory stays bounded.

    staged: lines that have passed `sift`. to: written anew, in place, and not synced: that is the caller's.
    pulse: called every few mebibytes; what it raises ends the work.

    Raises OSError, and Permanent for what this format cannot hold or nothing is installed for.
    """
    lines = Staged(staged, pulse)
    if format.lacking:
        raise Permanent(Reason.PLUGIN_MISSING, format.lacking)
    try:
        match format.kind:
            case "csv" | "tsv":
                separated.write(lines, to, format, layout)
            case "parquet":
                parquet.write(lines, to, layout)
            case "xlsx":
                workbook.write(lines, to, layout)
            case "jsonl":
                raise ValueError("JSON Lines need no conversion")
    except Unfit as exc:
        raise Permanent(Reason.ITEM_REFUSED, str(exc)) from exc
    return counted(to, format)


def counted(path: Path, format: Format) -> Written:
    """What a converted file holds, by reading it. Raises OSError."""
    counts = {"parquet": parquet.count, "xlsx": workbook.count}
    return Written(counts.get(format.kind, separated.count)(path), path.stat().st_size)


def _all_fit(lines: bytes, format: Format) -> bool:
    if format.kind == "xlsx" and max(map(len, lines.split(b"\n"))) > workbook.MOST_CHARACTERS:
        return False
    try:
        lines.decode()
        parsed(lines)
    except (UnicodeDecodeError, Unfit):
        return False
    return True


def _objections(batch: Batch, format: Format, layout: Layout) -> Iterator[Rejected]:
    for number, item in zip(batch.numbers, batch.items(), strict=False):
        try:
            item.decode()
            members_of(item)
            why = workbook.objection(item, layout) if format.kind == "xlsx" else ""
        except UnicodeDecodeError:
            why = "it is not UTF-8"
        except Unfit as exc:
            why = str(exc)
        if why:
            yield Rejected(number, why)

"""What a file of items would look like, before there is one."""

from collections.abc import Iterator

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from workers.formats import parquet, separated, workbook
from workers.formats.choosing import Format
from workers.formats.layout import Layout
from workers.formats.lines import Held
from workers.rows import Unfit


def shown(lines: bytes, format: Format, layout: Layout) -> Iterator[str]:
    """The lines of a text that holds these items and no others; of Parquet and Excel the columns, and then the items.

    lines: JSON Lines that have passed `sift`. Raises Permanent for what this format cannot hold.
    """
    held, text = Held(lines), lines
    try:
        match format.kind:
            case "csv" | "tsv":
                text = b"".join(separated.of(held, format, layout).pieces(held, bom=False)).replace(b"\r\n", b"\n")
            case "parquet":
                yield f"columns: {', '.join(parquet.described(held, layout))}"
            case "xlsx":
                yield f"columns: {', '.join(workbook.columns_of(held, layout).header)}"
            case "jsonl":
                pass
    except Unfit as exc:
        raise Permanent(Reason.ITEM_REFUSED, str(exc)) from exc
    for line in text.split(b"\n")[:-1]:
        yield line.decode(errors="replace")

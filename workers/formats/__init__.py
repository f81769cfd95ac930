"""What files of items look like.

A sink's `Target` is a `FileTarget`, which knows the format of a path. If that is not `converted`, its chunks are JSON
Lines, packed by `format.packing`. Otherwise the sink stages plain JSON Lines, of each batch what `sift` leaves, and
makes the file with `convert` when all is there.
"""

from workers.formats.choosing import Format, format_of, named
from workers.formats.converting import Written, convert, counted, sift
from workers.formats.layout import FilePath, FileTarget, Layout
from workers.formats.showing import shown

__all__ = [
    "FilePath",
    "FileTarget",
    "Format",
    "Layout",
    "Written",
    "convert",
    "counted",
    "format_of",
    "named",
    "shown",
    "sift",
]

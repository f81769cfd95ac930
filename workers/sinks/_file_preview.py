"""What files and objects a delivery would write."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from config.contracts.document import Glimpse
from config.contracts.sink import Batch, Shipment
from workers.formats import Format, shown, sift
from workers.sinks import _shown
from workers.sinks._file_items import chosen
from workers.sinks._file_paths import Paths


def path_of(shipment: Shipment, what: Batch | Glimpse) -> PurePosixPath:
    """Raises Permanent."""
    paths = Paths(shipment)
    if isinstance(what, Glimpse):
        return paths.of_document(what)
    return paths.of_batch(what) if paths.target.per == "batch" else paths.of_all()


def format_of(shipment: Shipment, path: PurePosixPath) -> Format:
    """Of a file of items. Raises Permanent."""
    return chosen(Paths(shipment).target, path.name)


def content(shipment: Shipment, what: Batch | Glimpse, path: PurePosixPath) -> Iterator[str]:
    """What would stand in it, unpacked. Raises Permanent."""
    if isinstance(what, Glimpse):
        yield from _shown.document(what)
        return
    format, target = format_of(shipment, path), Paths(shipment).target
    lines, rejected = sift(what, format, target)
    yield from shown(lines, format, target)
    yield from map(_shown.refusal, rejected)

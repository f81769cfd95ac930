"""Where the files of a stream lie, below the base of its sink."""

from pathlib import PurePosixPath

from config.contracts.document import Document, Glimpse
from config.contracts.sink import Batch, Shipment
from config.language.template import Template
from workers.formats import FileTarget
from workers.routing.paths import fenced, with_extension

#: `rows` are those that `fields` makes of records, or of the run.
_STEMS = {
    "items": "{{ run.id }}{% if dataset != 'default' %}.{{ dataset }}{% endif %}",
    "requests": "{{ run.id }}.requests",
    "rows": "{{ run.id }}.rows",
}
_PATHS = {
    "records": Template("{{ run.id }}/{{ record.key }}"),
    "run": Template("{{ run.id }}.run.json"),
    "log": Template("{{ run.id }}.log.txt"),
    "alert": Template("alerts/{{ record.key }}"),
}


class Paths:
    """The paths of one stream. All of them raise Permanent: path_escape, or template_failed.

    Attributes:
        target: the options; those of an alert may be none of ours.
        of_documents: whether the stream has a file for each document, and none of items.
    """

    def __init__(self, shipment: Shipment) -> None:
        kind, _, dataset = shipment.stream.partition(":")
        options = shipment.options
        self.target = options if isinstance(options, FileTarget) else FileTarget()
        self.of_documents = kind not in _STEMS
        self._scope = {"dataset": dataset, **shipment.scope}
        self._path = (self.target.path or _PATHS[kind]) if self.of_documents else self.target.path_of(_STEMS[kind])

    def of_all(self) -> PurePosixPath:
        """The one file of all items."""
        return fenced(self._path.render(self._scope))

    def of_batch(self, batch: Batch) -> PurePosixPath:
        about = {"index": batch.index, "number": f"{batch.index:08}", "offset": batch.offset, "count": batch.count}
        return fenced(self._path.render({**self._scope, "batch": about}))

    def of_document(self, document: Document | Glimpse) -> PurePosixPath:
        """Unless another document of the stream has it already."""
        record = {"key": document.key, "contentType": document.content_type, "size": document.size}
        return with_extension(fenced(self._path.render({**self._scope, "record": record})), document.content_type)

"""What a request for items asks for, read from its query and from the view it names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.errors import ApiError, invalid_value
from emulator.items.transformation import Transformation
from emulator.items.views import View, views_of
from emulator.query import Query

FORMATS: Mapping[str, str] = {
    "json": "application/json; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
}
"""Media types by the value of `format`."""

NO_LIMIT = 999_999_999_999
"""What the platform reports when no limit was sent."""

_LEGACY_FIELDS, _LEGACY_UNWIND = ("url", "pageFunctionResult", "errorInfo"), ("pageFunctionResult",)


@dataclass(frozen=True)
class Reading:
    """Which rows are wanted, what is made of them, and how they are written."""

    format: str
    offset: int
    limit: int
    desc: bool
    transformation: Transformation
    bom: bool
    delimiter: str
    header: bool
    xml_root: str
    xml_row: str
    feed_title: str | None
    feed_description: str | None

    @classmethod
    def of(cls, query: Query, schema: Mapping[str, Any] | None) -> "Reading":
        """What the query asks for; the query goes before the view it names.

        Raises: ApiError 400 for what cannot be meant, 404 for a view that the dataset's schema does not have.
        """
        name, view = query.text("format") or "json", _view(query, schema)
        if name not in FORMATS:
            raise invalid_value(f'Query parameter "format" must be one of {", ".join(FORMATS)}, not "{name[:20]}".')
        desc, bom, delimiter = query.flag("desc"), query.flag("bom"), query.text("delimiter") or ","
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise invalid_value('Query parameter "delimiter" must be one character, and no quote or line break.')
        return cls(
            format=name,
            offset=query.integer("offset") or 0,
            limit=query.integer("limit") or view.limit or NO_LIMIT,
            desc=bool(view.desc if desc is None else desc),
            transformation=_transformation(query, view),
            bom=(name == "csv" if bom is None else bom) and name != "xlsx",
            delimiter=delimiter,
            header=not query.flag("skipHeaderRow"),
            xml_root=query.text("xmlRoot") or "items",
            xml_row=query.text("xmlRow") or "item",
            feed_title=query.text("feedTitle"),
            feed_description=query.text("feedDescription"),
        )


def _view(query: Query, schema: Mapping[str, Any] | None) -> View:
    """The view that the query names; an empty one if it names none."""
    name = query.text("view")
    if name is None:
        return View()
    if view := views_of(schema).get(name):
        return view
    raise ApiError(404, "requested-dataset-view-does-not-exist", f'The dataset has no view "{name[:50]}".')


def _transformation(query: Query, view: View) -> Transformation:
    fields, output_fields = tuple(query.words("fields")) or view.fields, tuple(query.words("outputFields"))
    if output_fields and len(output_fields) != len(fields):
        raise invalid_value('Query parameter "outputFields" must have as many names as "fields".')
    is_legacy, clean = query.flag("simplified"), bool(query.flag("clean"))
    return Transformation(
        fields=_LEGACY_FIELDS if is_legacy else fields,
        output_fields=() if is_legacy else output_fields,
        omit=tuple(query.words("omit")) or view.omit,
        unwind=_LEGACY_UNWIND if is_legacy else tuple(query.words("unwind")) or view.unwind,
        flatten=tuple(query.words("flatten")) or view.flatten,
        skip_hidden=clean or bool(query.flag("skipHidden")),
        skip_empty=clean or bool(query.flag("skipEmpty")),
        skip_failed=bool(query.flag("skipFailedPages")),
    )

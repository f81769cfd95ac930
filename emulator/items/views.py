"""Views of a dataset: transformations that its schema has a name for (Apify, "Dataset schema specification")."""

from collections.abc import Mapping
from typing import Any

import msgspec

from emulator.errors import ApiError


class View(msgspec.Struct, frozen=True):
    """What a view does to the items: the schema's `ViewTransformation`."""

    fields: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    unwind: tuple[str, ...] = ()
    flatten: tuple[str, ...] = ()
    limit: int | None = None
    desc: bool | None = None


class _DatasetView(msgspec.Struct):
    transformation: View = View()


class _DatasetSchema(msgspec.Struct):
    views: dict[str, _DatasetView] = {}


def views_of(schema: Mapping[str, Any] | None) -> dict[str, View]:
    """The views of a dataset's schema by name. Raises: ApiError 400 if they are not what views are."""
    try:
        views = msgspec.convert(schema or {}, _DatasetSchema).views
    except msgspec.ValidationError as error:
        raise invalid_schema(str(error)) from None
    return {name: view.transformation for name, view in views.items()}


def invalid_schema(why: str) -> ApiError:
    """A dataset schema that cannot be used."""
    return ApiError(400, "dataset-schema-invalid", f"The dataset schema is invalid: {why}")

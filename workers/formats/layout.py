"""The options of files of items, shared by all sinks that write some."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from config.contracts.errors import Permanent
from config.language.template import ROOTS, Template
from workers.formats.choosing import Format, format_of, named
from workers.routing.paths import fenced

#: What tells the files of batches apart.
_BRACED = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_TELLS_APART = re.compile(r"\bbatch\W+(index|number|offset)\b")


class Layout(BaseModel, frozen=True):
    """How items become rows of a table."""

    columns: Literal["evolve", "json"] = Field(
        "evolve",
        description="Of CSV, Parquet and Excel. `evolve`: a column for each top-level member that any item has, in the "
        "order they first appear; `json`: one, `item`, with the item as it was stored.",
    )
    formulas: Literal["escape", "keep"] = Field(
        "escape",
        description="Of CSV: `escape` puts a `'` before a text that a spreadsheet would run as a formula.",
    )
    bom: bool = Field(False, description="Of CSV: begin with a byte order mark, which old Excel needs to see UTF-8.")


class FilePath(Template):
    """A path that may say of which batch the file is: `batch.index`, `batch.number` (the same in eight digits),
    `batch.offset`, `batch.count`.

    Raises ValueError also for one that could lead nowhere, whatever the values are.
    """

    names = ROOTS | {"batch"}

    def __init__(self, source: str, names: Collection[str] | None = None) -> None:
        super().__init__(source, names)
        try:
            fenced(_BRACED.sub("x", source))
        except Permanent as escape:
            why = escape.detail.partition(" in the path ")[0].replace("an empty name", "a `/` too many")
            raise ValueError(f"a path leads down from what its sink names, and this one has {why}") from None


def _known(word: str) -> str:
    named(word)
    return word


class _Place(BaseModel, frozen=True):
    """Where files of items lie."""

    path: FilePath | None = Field(
        None,
        description="Where it lies; its end says the format (see `format`).",
        examples=["path: '{{ actor.name }}/{{ run.id }}.csv'"],
    )
    format: Annotated[str, AfterValidator(_known)] | None = Field(
        None,
        description="Of files of items: `jsonl`, `csv`, `tsv`, `parquet` or `xlsx`; the texts also `.gz` or `.zst`, as "
        "`csv.gz`. By default the end of `path` says it.",
        examples=["format: csv.gz"],
    )
    per: Literal["run", "batch"] = Field(
        "run",
        description="One file of all items, or one for each batch of them; `path` then has `{{ batch.number }}`.",
    )


class FileTarget(Layout, _Place, extra="forbid", frozen=True):
    """Options of a target that is a file of items, or one for each batch of them."""

    @model_validator(mode="after")
    def _agrees(self) -> "FileTarget":
        source = str(self.path or "")
        if self.per == "batch" and self.path and not _TELLS_APART.search(source):
            raise ValueError("with `per: batch` files would overwrite each other: put {{ batch.number }} into `path`")
        if self.per == "run" and self.path and "batch" in self.path.roots:
            raise ValueError("`batch` has no meaning in `path` without `per: batch`")
        if lacking := self.format_of(source.rpartition("}")[2]).lacking:
            raise ValueError(lacking)
        return self

    def format_of(self, path: str) -> Format:
        """Of a file with that path, or with that end of one. Raises ValueError for what cannot be."""
        return named(self.format) if self.format else format_of(path)

    def path_of(self, stem: str) -> Template:
        """Where files of items lie: what `path` says, or by default that stem, a number if there is one for each batch,
        and the suffix of the format."""
        if self.path:
            return self.path
        number = "/{{ batch.number }}" if self.per == "batch" else ""
        return _default(f"{stem}{number}{self.format_of('').suffix}")


@lru_cache
def _default(path: str) -> FilePath:
    return FilePath(path)

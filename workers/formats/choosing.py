"""Which format a file of items has: the end of its path says so, or an option.

`.jsonl` and `.ndjson` are JSON Lines, `.csv` and `.tsv` are tables as text, `.parquet` and `.xlsx` what they
are called. The texts may be compressed: `.gz` or `.zst` behind it. A name that ends in nothing of this is JSON Lines.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from workers.packing import PACKINGS, Packing, packing_of

Kind = Literal["jsonl", "csv", "tsv", "parquet", "xlsx"]

_KINDS: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
_CONTENT_TYPES: dict[Kind, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: These are compressed by themselves.
_PACKED: frozenset[Kind] = frozenset({"parquet", "xlsx"})


@dataclass(frozen=True, slots=True)
class Format:
    """What a file of items looks like.

    Attributes:
        kind: of the content.
        packing: how it is compressed; None if it is not, or does so by itself.
    """

    kind: Kind = "jsonl"
    packing: Packing | None = None

    @property
    def converted(self) -> bool:
        """Whether it is made from finished JSON Lines; if not, it grows with every batch."""
        return self.kind != "jsonl"

    @property
    def suffix(self) -> str:
        """`.csv.gz`."""
        return f".{self.kind}{self.packing.suffix if self.packing else ''}"

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self.kind]

    @property
    def content_encoding(self) -> str:
        """As in HTTP; empty if it is not compressed."""
        return self.packing.coding if self.packing else ""

    @property
    def lacking(self) -> str:
        """What to install before it can be written; empty if nothing is missing."""
        if self.kind != "parquet" or find_spec("pyarrow"):
            return ""
        return "`.parquet` needs the package `pyarrow`, which is not installed: pip install 'runrelay[parquet]'"


def format_of(name: str) -> Format:
    """The format of a file by the end of its name. Raises ValueError for what cannot be, such as `x.parquet.gz`."""
    packing = packing_of(name)
    stem = name[: -len(packing.suffix)] if packing else name
    kind: Kind = next((kind for suffix, kind in _KINDS.items() if stem.lower().endswith(suffix)), "jsonl")
    if packing and kind in _PACKED:
        raise ValueError(f"a `.{kind}` file is compressed by itself: leave out `{packing.suffix}`")
    return Format(kind, packing)


def named(word: str) -> Format:
    """The format an option names: `csv`, `jsonl.gz`. Raises ValueError if there is none of that name."""
    packing = packing_of(word)
    plain = word[: -len(packing.suffix)] if packing else word
    if f".{plain}" not in _KINDS:
        kinds, packings = (", ".join(f"`{end[1:]}`" for end in ends) for ends in (_KINDS, _SUFFIXES))
        raise ValueError(f"no format `{word}`: there are {kinds}, the texts also with {packings} behind a dot")
    return format_of(f".{word}")


_SUFFIXES = [packing.suffix for packing in PACKINGS]

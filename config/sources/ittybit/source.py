"""One ittybit project: both halves of its dialect."""

from config.contracts.source import Source
from config.sources.ittybit.options import Config


class IttybitSource:
    """See `config.contracts.source.Source`."""


def connect(name: str, config: Config) -> Source:
    """The source a section of runrelay.yaml describes."""
    raise ValueError("not built yet")

"""One account of a platform that the file describes."""

from config.contracts.source import Source
from config.sources.generic.options import Config


class GenericSource:
    """See `config.contracts.source.Source`."""


def connect(name: str, config: Config) -> Source:
    """The source a section of runrelay.yaml describes."""
    raise ValueError("not built yet")

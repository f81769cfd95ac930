"""A platform that runrelay.yaml alone describes: how its webhooks are signed, where in them things stand, and what is
asked of its API, if it has one.
"""

from config.sources.generic.options import Config
from config.sources.generic.source import GenericSource, connect

__all__ = ["Config", "GenericSource", "connect"]

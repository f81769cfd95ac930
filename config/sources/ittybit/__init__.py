"""ittybit: run-finished events in, runs with the files and analyses of their tasks out.

Facts are from ittybit's public documentation (state: January 2026).
"""

from config.sources.ittybit.options import Config
from config.sources.ittybit.source import IttybitSource, connect

__all__ = ["Config", "IttybitSource", "connect"]

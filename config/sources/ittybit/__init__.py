"""ittybit: run-finished events in, runs with the files and analyses of their tasks out.

Facts are from ittybit's public documentation (state: January 2026).
"""

from config.contracts.source import AboutSource
from config.sources.ittybit.options import Config
from config.sources.ittybit.source import IttybitSource, connect

__all__ = ["ABOUT", "Config", "IttybitSource", "connect"]

ABOUT = AboutSource(
    platform="ittybit",
    promise="what the platform tells of a run that has ended: its outputs as records, and what it found out of media "
    "as items",
    tested="a server in this repository's tests that answers as ittybit's public documentation describes it; not the "
    "platform itself, whose webhooks nobody here has seen: keep those that cannot be verified with `capture`",
    example="""
sources:
  ittybit:
    token: "${ITTYBIT_API_KEY}"
    webhook:
      secrets: ["${HOOK_SECRET}"]
    reconcile: {every: 15m}
""",
)

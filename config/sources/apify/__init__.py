"""Apify: run-finished webhooks in, runs with their datasets, records and logs out.

Facts are from Apify's API reference and webhook documentation (state: November 2026).
"""

from config.contracts.source import AboutSource
from config.sources.apify.options import Config
from config.sources.apify.source import ApifySource, connect

__all__ = ["ABOUT", "ApifySource", "Config", "connect"]

ABOUT = AboutSource(
    platform="Apify",
    promise="every item, record, request and log line of a run, in the platform's order, or the delivery waits: a "
    "dataset is read until it has as many items as the platform counts",
    tested="the emulator in this repository, which is compared with Apify's OpenAPI document and with its own Python "
    "client and Crawlee; not the platform itself",
    example="""
sources:
  apify:
    token: "${APIFY_TOKEN}"
    webhook:
      secrets: ["${HOOK_SECRET}"]
    reconcile: {every: 15m}
""",
)

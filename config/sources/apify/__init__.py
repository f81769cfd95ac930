"""Apify: run-finished webhooks in, runs with their datasets, records and logs out.

Facts are from Apify's API reference and webhook documentation (state: November 2026).
"""

from config.sources.apify.options import Config
from config.sources.apify.source import ApifySource, connect

__all__ = ["ApifySource", "Config", "connect"]

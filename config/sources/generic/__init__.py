"""A platform that runrelay.yaml alone describes: how its webhooks are signed, where in them things stand, and what is
asked of its API, if it has one.
"""

from config.contracts.source import AboutSource
from config.sources.generic.options import Config
from config.sources.generic.source import GenericSource, connect

__all__ = ["ABOUT", "Config", "GenericSource", "connect"]

ABOUT = AboutSource(
    platform="any that the file describes",
    promise="what the places that the file names hold, page by page to the end of each list. Whether that is all of a "
    "run, only its platform knows; a list whose front changes while it is read can be read whole by nobody",
    tested="servers in this repository's tests that answer as the recipes' platforms document it; not those platforms "
    "themselves",
    example="""
sources:
  crawls:
    type: generic
    webhook:
      secrets: ["${HOOK_SECRET}"]
      verify: {scheme: hmac, header: X-Signature, prefix: "sha256="}
    event: {id: id, kind: type, ended: [crawl.completed, crawl.failed]}
    api: {url: "https://api.example.com", token: "${API_TOKEN}"}
    run: {fetch: "/v2/crawl/{id}", status: status, succeeded: completed, failed: [failed, cancelled]}
    items: {fetch: "/v2/crawl/{id}", at: data, paging: next}
""",
)

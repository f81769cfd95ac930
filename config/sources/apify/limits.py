"""How often Apify lets itself be asked (API reference, "Rate limiting", and the endpoints' own pages)."""

import re
from typing import NamedTuple

from config.contracts.api import Rate

#: Requests a second of one user: 250,000 a minute.
IN_ALL = 250_000 / 60
#: Answer header in which an endpoint names its limit.
HEADER = "x-ratelimit-limit"
#: Requests a second to one run, one dataset, one store …, where nothing else is said.
_ORDINARY = 60.0


class _Own(NamedTuple):
    """Endpoints that share a limit of their own at each thing."""

    what: str
    per_second: float
    methods: frozenset[str]
    paths: re.Pattern[str]


def _own(what: str, per_second: float, methods: str, paths: str) -> _Own:
    return _Own(what, per_second, frozenset(methods.split()), re.compile(paths))


#: `paths`: the whole path, without its first slash.
_OWN = (
    _own("start", 400, "POST", r"(?:acts|actors|actor-tasks)/[^/]+/runs"),
    _own("start", 400, "POST GET", r"actor-tasks/[^/]+/run-sync[^/]*"),
    _own("start", 400, "POST", r"actor-runs/[^/]+/metamorph"),
    _own("push", 400, "POST", r"datasets/[^/]+/items"),
    _own("records", 200, "GET HEAD PUT POST DELETE", r"key-value-stores/[^/]+/records/[^/]+"),
    _own("batch", 40, "POST DELETE", r"request-queues/[^/]+/requests/batch"),
    _own("lock head", 40, "POST", r"request-queues/[^/]+/head/lock"),
    _own("requests", 400, "POST", r"request-queues/[^/]+/requests"),
    _own("requests", 400, "GET PUT DELETE", r"request-queues/[^/]+/requests/[^/]+(?:/lock)?"),
)
#: The old name of a collection is served by the same handlers.
_RENAMED = {"acts": "actors"}


def rate(method: str, path: str) -> Rate:
    """The limit of a request. `path`: below the version prefix, as in `/datasets/<id>/items`.

    What a run is asked for through its own path (`/actor-runs/<id>/dataset/items`) counts as the run's.
    """
    steps = path.removeprefix("/").split("/")
    thing = "/".join([_RENAMED.get(steps[0], steps[0]), *steps[1:2]])
    for own in _OWN:
        if method in own.methods and own.paths.fullmatch("/".join(steps)):
            return Rate(f"{thing} {own.what}", own.per_second)
    return Rate(thing, _ORDINARY)

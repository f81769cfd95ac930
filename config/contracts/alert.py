"""What somebody is told when something needs a person."""

from typing import Literal, get_args

import msgspec

#: What alerts may be about, one message each:
#: `dead_letter` something ended dead; `quarantined` something is held back for a person to look at; `paused` a person
#: holds something, or it refused our credentials; `failing` a target fails again and again; `webhook_missed` runs ended
#: and no webhook said so; `expiring` the platform is about to delete what has not been delivered; `reload_failed` a
#: changed runrelay.yaml cannot be used; `stale` a route has not delivered for longer than it may.
AlertKind = Literal[
    "dead_letter", "quarantined", "paused", "failing", "webhook_missed", "expiring", "reload_failed", "stale"
]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)

#: The stream that a sink gets alerts as.
STREAM = "alert"


class Matter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that an alert is about. Names, ids, counts and times; never an item, nor what a far side answered.

    Attributes:
        subject: for people, such as `target products/crm refuses our credentials`.
        source, route, target: names in runrelay.yaml, as far as it has any.
        reason: a word of `config.contracts.reasons`.
        count: how many; of what waits or died.
        example: id of one of them, for `runrelay show`.
        since, until: ISO 8601, UTC.
    """

    subject: str
    source: str = ""
    route: str = ""
    target: str = ""
    reason: str = ""
    count: int = 0
    example: str = ""
    since: str = ""
    until: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message: everything of one kind that is news since the one before.

    Attributes:
        id: the same on every try to send it, another for every message.
        at: when it was written; ISO 8601, UTC.
        text: ready to be shown to people, several lines.
        count: how many things are news: letters, holds, runs, deliveries, problems.
        about: the first of them, in groups.
        over: what was told earlier and has ended.
        what_to_do: the command to begin with.
    """

    id: str
    kind: AlertKind
    at: str
    text: str
    count: int
    about: tuple[Matter, ...] = ()
    over: tuple[str, ...] = ()
    what_to_do: str = ""

    @property
    def key(self) -> str:
        """The name of its document, which sorts by time: `20261122T215156Z-paused-3f9a1c0b.json`."""
        moment = self.at.partition(".")[0].partition("+")[0].replace("-", "").replace(":", "")
        return f"{moment}Z-{self.kind}-{self.id[:8]}.json"

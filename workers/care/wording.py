"""Alerts in words."""

from collections.abc import Iterator, Mapping

from config.contracts.alert import AlertKind, Matter
from workers.care.news import News

#: The command to begin with.
WHAT_TO_DO: Mapping[AlertKind, str] = {
    "dead_letter": "runrelay dlq list says why; once it is mended: runrelay dlq retry --reason REASON",
    "quarantined": "runrelay quarantine show ID says what is not as expected; then quarantine release or discard it",
    "paused": "runrelay status says why and how many wait; runrelay resume KIND NAME lets them go",
    "failing": "mend the far side; what waits goes on by itself, or at once: runrelay retry --target ROUTE/TARGET",
    "webhook_missed": "runrelay doctor says what is wrong with the webhooks; these runs are being delivered",
    "expiring": "runrelay status says what they wait for; what is not delivered in time is lost",
    "reload_failed": "runrelay check; until it is mended the file as it was before stays at work",
    "stale": "runrelay runs lists what came, runrelay status what waits; if no run came, look at its schedule",
}
#: With how many of what it begins.
_NOUNS: Mapping[AlertKind, tuple[str, str]] = {
    "dead_letter": ("dead letter", "dead letters"),
    "quarantined": ("delivery in quarantine", "deliveries in quarantine"),
    "paused": ("pause", "pauses"),
    "failing": ("target fails", "targets fail"),
    "webhook_missed": ("run without a webhook", "runs without a webhook"),
    "expiring": ("delivery whose data is about to be deleted", "deliveries whose data is about to be deleted"),
    "reload_failed": ("problem with runrelay.yaml", "problems with runrelay.yaml"),
    "stale": ("route has not delivered in time", "routes have not delivered in time"),
}


def text(kind: AlertKind, news: News, most: int) -> str:
    """Several lines, ready to be shown. At most so many things are named of what begins, and of what ends."""
    return "\n".join(_lines(kind, news, most))


def _lines(kind: AlertKind, news: News, most: int) -> Iterator[str]:
    yield f"Runrelay: {_heading(kind, news.number)}"
    for one in news.about[:most]:
        yield f"- {_line(one)}"
    if len(news.about) > most:
        yield f"- and {len(news.about) - most} more like these"
    for name in news.over[:most]:
        yield f"- over: {name}"
    if len(news.over) > most:
        yield f"- and {len(news.over) - most} more are over"
    if news.number:
        yield f"What to do: {WHAT_TO_DO[kind]}"


def _heading(kind: AlertKind, number: int) -> str:
    one, many = _NOUNS[kind]
    return f"{number:,} {one if number == 1 else many}" if number else "it is over"


def _line(one: Matter) -> str:
    return f"{one.subject}: runrelay show {one.example[:12]}" if one.example else one.subject

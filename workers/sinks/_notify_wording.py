"""What a message says: of one run, of one alert, or of many runs at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.language.template import Template
from workers.sinks._notify_media import PLAIN, Medium
from workers.sinks._notify_sending import Address

#: Characters of a message that is kept to go out with others, of the line it is there, and of a log.
MOST_KEPT, MOST_LINE, MOST_LOG = 2000, 300, 4000
#: Characters of a title.
MOST_TITLE = 250


class Text(Template):
    """A message; it knows `log_tail` where the route reads it, and of an alert nothing but `alert`."""

    names: ClassVar[frozenset[str]] = Template.names | {"log_tail", "alert"}
    __slots__ = ()


OF_RUN = Text(
    "{{ actor.name or run.id }} {{ run.status }}"
    "{% if run.stats.runTimeSecs %} after {{ run.stats.runTimeSecs | duration }}{% endif %}"
    "{% if run.usageTotalUsd %}, {{ run.usageTotalUsd | usd }}{% endif %}\n"
    "{% if run.statusMessage %}{{ run.statusMessage }}\n{% endif %}"
    "{{ run.console_url }}\n"
    "{% if log_tail %}{{ log_tail | code }}{% endif %}"
)
TITLE_OF_RUN = Text("{{ actor.name or run.id }} {{ run.status }}")
OF_ALERT = Text("{{ alert.text }}")
TITLE_OF_ALERT = Text("{{ alert.title }}")
_LINK = Text("{{ run.console_url }}")


class Words(msgspec.Struct, frozen=True):
    """A message in one medium.

    Attributes:
        text: with its markup.
        title: without any; empty for none.
        subject: a title for those that must have one.
        link: where a person looks at what it is about.
    """

    text: str
    title: str = ""
    subject: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """How one target words what it says.

    Attributes:
        text, title: as written; None for ours.
        alert: whether it is an alert that is told.
    """

    text: Text | None
    title: Text | None
    alert: bool

    def words(self, scope: Mapping[str, Any], medium: Medium) -> Words:
        """Raises Permanent (template_failed)."""
        ours, subject = (OF_ALERT, TITLE_OF_ALERT) if self.alert else (OF_RUN, TITLE_OF_RUN)
        words = Words(
            text=(self.text or ours).render(scope, medium.show).strip(),
            title=_line(self.title.render(scope, PLAIN.show)) if self.title else "",
            subject=_line(subject.render(scope, PLAIN.show)),
            link=_LINK.render(scope, medium.show),
        )
        if not words.text and not words.title:
            raise Permanent(Reason.TEMPLATE_FAILED, "`text` prints nothing for this run")
        return words


def about_alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    """The names of an alert."""
    return {"alert": {**alert, "title": str(alert.get("text", "")).partition("\n")[0]}}


def tail(log: str, most: int) -> str:
    """The end of a log, from the beginning of a line on."""
    log = log.strip("\n")
    if len(log) <= most:
        return log
    end = log[-most:]
    end = end.partition("\n")[2] or end
    return f"({len(log) - len(end)} earlier characters) …\n{end}"


def kept(words: Words, medium: Medium) -> Words:
    """As much as is kept of a message that waits for others."""
    return msgspec.structs.replace(words, text=medium.capped(words.text, MOST_KEPT))


def together(heading: str, messages: Sequence[Words], count: int, medium: Medium, room: int) -> Words:
    """Many messages as one, a line each; those that no text was kept of, or no room is left for, are counted."""
    lines, left = [medium.data(f"{heading}:")], room - len(heading) - 60
    most = max(60, min(MOST_LINE, left // max(1, len(messages))))
    for words in messages:
        line = f"- {_short(words, medium, most)}"
        left -= len(line) + 8
        if left < 0:
            break
        lines.append(line)
    if more := count - (len(lines) - 1):
        lines.append(f"and {more} more")
    return Words("\n".join(lines), subject=heading)


def composed(words: Words, address: Address) -> tuple[str, str]:
    """Title and text as an address is sent them, no longer than it takes."""
    medium = address.medium
    title = words.title or (words.subject if address.subject and medium.name != "chat" else "")
    text = medium.body(words.text)
    if not text:
        title, text = "", medium.data(title)
    shown = title if address.subject and medium.name == "html" else medium.data(title)
    shown = PLAIN.capped(shown, address.subject or MOST_TITLE)
    room = address.room if address.subject else address.room - len(shown) - 20
    return shown, medium.capped(text, room)


def _short(words: Words, medium: Medium, most: int) -> str:
    """Its title and first line, and always its link."""
    lines = [line for line in words.text.splitlines() if line.strip() and not line.startswith("```")]
    said = ": ".join(filter(None, (medium.data(words.title), *lines[:1])))
    link = "" if not words.link or words.link in said else f" {words.link}"
    return medium.close(medium.capped(said, max(40, most - len(link) - 10))) + link


def _line(text: str) -> str:
    return PLAIN.capped(" ".join(text.split()), MOST_TITLE)

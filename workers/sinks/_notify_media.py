"""What a value may look like where a message is shown: never as markup, a link in disguise, a mention or a command.

Services read many dialects of Markdown, also where they call it text, and Slack's has no escape at all. So a value's
characters that could begin something are not escaped there but replaced by others that look like them. HTML has an
escape, and machines are sent what there is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import Any

from config.language.printed import Code, printed

#: Characters of one value: escaped they must fit into what a template may print.
_LONGEST = 8000
#: Invisible, and no part of a word.
_GAP = "\u200b"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MENTION = re.compile(r"(?<![A-Za-z0-9])([@!])(?=\w)")
_EDGE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINK = re.compile(r"\](?=[(\[:])")
_HEAD = re.compile(r"^([ \t]*)(?=(?:#{1,6}|[-+=]{1,3})(?:\s|$))", re.MULTILINE)
_ALIKE = str.maketrans({"<": "‹", ">": "›", "*": "∗", "`": "ˋ", "~": "∼", "|": "∣", "\\": "∖"})
_BRACKETS = str.maketrans({"<": "‹", ">": "›"})
_FENCE = "```"
_BLOCK = re.compile(r"(<pre>.*?</pre>)", re.DOTALL)
_UNFINISHED = re.compile(r"<[^<>]*$|&[#A-Za-z0-9]{0,10}$")


@dataclass(frozen=True, slots=True)
class Medium:
    """How one kind of service shows text.

    Attributes:
        name: `chat` has a Markdown of some kind, `html` is HTML, `plain` is what programs and plain e-mail get.
        data: a value of a template.
        code: a value that is to be shown in letters of one width.
        close: ends what an end that was cut off left open.
    """

    name: str
    data: Callable[[str], str]
    code: Callable[[str], str]
    close: Callable[[str], str]

    def show(self, value: Any) -> str:
        """How a template prints a value here."""
        if isinstance(value, Code):
            return self.code(_clean(value.inside)) if value.inside else ""
        return self.data(_clean(printed(value)))

    def line(self, text: str) -> str:
        """The same on one line."""
        return " ".join(text.split())

    def body(self, text: str) -> str:
        """A whole text as the medium has lines."""
        if self.name != "html":
            return text.strip()
        parts = _BLOCK.split(text.strip())
        return "".join(part if index % 2 else part.replace("\n", "<br />\n") for index, part in enumerate(parts))

    def capped(self, text: str, most: int) -> str:
        """At most so many characters, and a word about those that were left out."""
        if len(text) <= most:
            return text
        said = f"… ({len(text) - most} more characters)"
        end = max(0, most - len(said) - 40)
        kept = text[:end]
        kept = _UNFINISHED.sub("", kept) if self.name == "html" else kept
        left_out = f"… ({len(text) - len(kept)} more characters)"
        return f"{self.close(kept.rstrip())}{left_out}"[:most]


def _clean(text: str) -> str:
    """Without what moves a cursor or turns a line around, without lone surrogates, and not too long."""
    left_out = len(text) - _LONGEST
    short = f"{text[:_LONGEST]}… ({left_out} more characters)" if left_out > 0 else text
    return _CONTROL.sub("", short.replace("\r\n", "\n").replace("\r", "\n")).encode("utf-8", "replace").decode()


def _chat(text: str) -> str:
    defused = _MENTION.sub(rf"\1{_GAP}", text)
    defused = _EDGE.sub("＿", _LINK.sub("]" + _GAP, defused.translate(_ALIKE)))
    return _HEAD.sub(rf"\1{_GAP}", defused)


def _chat_code(text: str) -> str:
    inside = _MENTION.sub(rf"\1{_GAP}", text.translate(_BRACKETS)).replace("``", f"`{_GAP}`").replace("``", f"`{_GAP}`")
    return f"{_FENCE}\n{inside}\n{_FENCE}"


def _chat_closed(text: str) -> str:
    return f"{text}\n{_FENCE}\n" if text.count(_FENCE) % 2 else text


def _html(text: str) -> str:
    return escape(_MENTION.sub(rf"\1{_GAP}", text))


def _html_code(text: str) -> str:
    return f"<pre>{_html(text)}</pre>"


class _Open(HTMLParser):
    """The tags of a text that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in {"br", "hr", "img"}:
            self.tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag in self.tags:
            del self.tags[len(self.tags) - 1 - self.tags[::-1].index(tag)]


def _html_closed(text: str) -> str:
    found = _Open()
    found.feed(text)
    return text + "".join(f"</{tag}>" for tag in reversed(found.tags))


CHAT = Medium("chat", _chat, _chat_code, _chat_closed)
HTML = Medium("html", _html, _html_code, _html_closed)
PLAIN = Medium("plain", str, str, str)

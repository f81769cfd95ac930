"""Items as XML and RSS (Apify API, "XML format extension").

Names become elements, arrays repeat theirs, the member `@` gives the element's attributes, and `#` the text of an
element without children. What a name or a text may not hold in XML is replaced: an underscore, or U+FFFD.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from emulator.items.tables import decoded, text_of

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
# Letters that the older and the newer editions of XML 1.0 both take: Latin, Greek, Cyrillic, Chinese, Japanese, Korean.
_START = "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0388-\u038a\u038e-\u03a1"
_START += "\u03a3-\u03ce\u0401-\u040c\u040e-\u044f\u0451-\u045c\u3041-\u3094\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
_REST = _START + "\\-.0-9\xb7"
_NOT_IN_NAME = re.compile(f"[^{_REST}]")
_NOT_AT_START = re.compile(f"[^{_START}]")
_NOT_IN_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
_IN_ATTRIBUTES = str.maketrans({"\n": "&#10;", "\t": "&#9;"})

#: A text whose parts are asked for by yielding what makes them.
_Making = Generator["_Making", Any, str]


def as_xml(records: Iterable[bytes], root: str = "items", row: str = "item") -> Iterator[str]:
    """A document with one element a record."""
    root, row = name_of(root), name_of(row)
    yield f"{_DECLARATION}\n<{root}>\n"
    for record in records:
        yield _made(_element(row, decoded(record)))
        yield "\n"
    yield f"</{root}>\n"


def as_rss(records: Iterable[bytes], title: str, description: str, link: str) -> Iterator[str]:
    """An RSS 2.0 channel with one `<item>` a record."""
    yield f'{_DECLARATION}\n<rss version="2.0"><channel>'
    yield f"<title>{_text(title)}</title><link>{_text(link)}</link><description>{_text(description)}</description>\n"
    for record in records:
        yield _made(_element("item", decoded(record)))
        yield "\n"
    yield "</channel></rss>\n"


def name_of(text: str) -> str:
    """A name XML allows, as near to the text as may be; a prefix such as in `media:title` stays one."""
    prefix, _, local = text.partition(":")
    return f"{_plain(prefix)}:{_plain(local)}" if prefix and local else _plain(text)


def _plain(text: str) -> str:
    name = _NOT_IN_NAME.sub("_", text) or "_"
    return f"_{name}" if _NOT_AT_START.match(name) else name


def _made(making: _Making) -> str:
    """The text, however deep its parts lie: Python's own stack would end some 250 elements down."""
    stack, text = [making], None
    while stack:
        try:
            part = stack[-1].send(text)
        except StopIteration as done:
            stack.pop()
            text = done.value
        else:
            stack.append(part)
            text = None
    return str(text)


def _element(name: str, value: Any) -> _Making:
    if not isinstance(value, Mapping):
        text = _text(value)
        return f"<{name}>{text}</{name}>" if text else f"<{name}/>"
    attributes, inside = _attributes(value), (yield _children(value))
    if not inside and "#" in value:
        inside = yield _inside(value["#"])
    return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"


def _attributes(value: Mapping[str, Any]) -> str:
    given = value.get("@")
    if not isinstance(given, Mapping):
        return ""
    named = {name_of(name): _text(of).translate(_IN_ATTRIBUTES) for name, of in given.items()}  # no name twice
    return "".join(f' {name}="{text}"' for name, text in named.items())


def _children(value: Mapping[str, Any]) -> _Making:
    parts = []
    for name, inner in value.items():
        if name != "#" and not (name == "@" and isinstance(inner, Mapping)):
            parts.append((yield _repeated(name_of(name), inner)))
    return "".join(parts)


def _repeated(name: str, value: Any) -> _Making:
    if not isinstance(value, list):
        element: str = yield _element(name, value)
        return element
    parts = []
    for inner in value:
        if isinstance(inner, list):  # an array in an array is an element of its own
            parts.append(f"<{name}>{(yield _repeated(name, inner))}</{name}>")
        else:
            parts.append((yield _element(name, inner)))
    return "".join(parts)


def _inside(value: Any) -> _Making:
    if not isinstance(value, Mapping | list):
        return _text(value)
    inside: str = yield (_children(value) if isinstance(value, Mapping) else _repeated("_", value))
    return inside


def _text(value: Any) -> str:
    if isinstance(value, dict | list):  # only attributes: they hold no structure
        return ""
    return _NOT_IN_TEXT.sub("\ufffd", text_of(value)).translate(_ESCAPES)

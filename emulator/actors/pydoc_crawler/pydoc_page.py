"""Reads one page of Python's documentation server: a module's page, an error page, or the index.

The marks it goes by are those of `pydoc.HTMLDoc` in Python 3.11 to 3.13: the title says `Error - …` when
the module could not be documented; a class has an anchor with its name, a function one that starts with `-`,
a method one with a `-` inside; the module's docstring is the first `span.code` after the heading.
"""

import codecs
from html.parser import HTMLParser

NAVIGATION = frozenset({"index.html", "topics.html", "keywords.html"})  # the bar on top of every page


class PydocPage(HTMLParser):
    """One page, fed in pieces as they arrive; nothing of the page itself is kept.

    Attributes:
        html_bytes: size of the page so far, in bytes.
        is_complete: the page's last tag was seen. The server has no other way to say that it is done: it
            sends no length, and a server that dies leaves a short page with status 200.
        links: `href` of every link in page order, without the bar on top.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.html_bytes = 0
        self.is_complete = False
        self.links: list[str] = []
        self._anchors: dict[str, None] = {}  # in page order, each once
        self._title = ""
        self._synopsis = ""
        self._cell = ""
        self._collecting: str | None = None
        self._synopsis_state = "before-heading"
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed_bytes(self, piece: bytes) -> None:
        """Takes the next piece of the page, cut anywhere."""
        self.html_bytes += len(piece)
        self.feed(self._decoder.decode(piece))

    @property
    def error(self) -> str | None:
        """Why pydoc could not document the module, such as `ValueError: could not find object`; else None."""
        if not self._title.startswith("Pydoc: Error - "):
            return None
        return " ".join(self._cell.split()) or "pydoc gave no reason"

    @property
    def synopsis(self) -> str:
        """First line of the module's docstring, empty without one."""
        return " ".join(self._synopsis.split())

    @property
    def classes(self) -> list[str]:
        """Classes the page documents, in page order."""
        return [anchor for anchor in self._anchors if "-" not in anchor]

    @property
    def functions(self) -> list[str]:
        """Module-level functions the page documents, in page order."""
        return [anchor[1:] for anchor in self._anchors if anchor.startswith("-")]

    @property
    def listed_modules(self) -> list[str]:
        """Modules that links lead to, each once: on the index page, everything that can be imported."""
        pages = dict.fromkeys(link for link in self.links if link.endswith(".html") and ":" not in link)
        return [page.removesuffix(".html") for page in pages]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Part of `HTMLParser`."""
        attributes = dict(attrs)
        if tag == "a":
            self._take_anchor(attributes)
        elif tag == "title":
            self._collecting = "title"
        elif tag == "td" and attributes.get("class") == "singlecolumn":
            self._collecting = "cell"
        self._seek_synopsis(tag, attributes.get("class"))

    def handle_endtag(self, tag: str) -> None:
        """Part of `HTMLParser`."""
        if tag == "html":
            self.is_complete = True
        elif tag in ("title", "td"):
            self._collecting = None
        elif tag == "span" and self._synopsis_state == "inside":
            self._synopsis_state = "done"
        elif tag == "table" and self._synopsis_state == "before-heading":
            self._synopsis_state = "after-heading"

    def handle_data(self, data: str) -> None:
        """Part of `HTMLParser`."""
        if self._synopsis_state == "inside":
            self._synopsis += data
        elif self._collecting == "title":
            self._title += data
        elif self._collecting == "cell" and self._title.startswith("Pydoc: Error"):
            self._cell += data

    def _take_anchor(self, attributes: dict[str, str | None]) -> None:
        if name := attributes.get("name"):
            self._anchors[name] = None
        if (link := attributes.get("href")) and link not in NAVIGATION:
            self.links.append(link)

    def _seek_synopsis(self, tag: str, css_class: str | None) -> None:
        """After the heading come `<p>` and, if the module has a docstring, `<span class="code">`."""
        if self._synopsis_state == "after-heading" and tag != "p":
            has_docstring = tag == "span" and css_class == "code"
            self._synopsis_state = "inside" if has_docstring else "done"
        elif self._synopsis_state == "inside" and tag == "br" and self._synopsis.strip():
            self._synopsis_state = "done"

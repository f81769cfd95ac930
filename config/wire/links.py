"""Where a list goes on, as its answer says (RFC 8288, Web Linking)."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

from multidict import MultiDict

#: What stands between commas and semicolons, and these: none of them counts within `<…>` or quotes. Each character is
#: looked at once or twice, whatever stands there.
_PIECE = re.compile(r'[,;]|(?:<[^<>]*>|"(?:[^"\\]|\\.?)*"?|[^,;"])+', re.DOTALL)
_PORTS = {"http": 80, "https": 443}


class Elsewhere(ValueError):
    """The address leads away from the API it came from."""


def following(headers: Mapping[str, str]) -> str | None:
    """The address under `rel="next"` in the `Link` header; None without one."""
    for address, *parameters in _links(headers.get("link", "")):
        if address.startswith("<") and address.endswith(">") and "next" in _relations(parameters):
            return address[1:-1]
    return None


def _links(header: str) -> Iterator[list[str]]:
    """Each address, still in its brackets, and its parameters."""
    link: list[str] = []
    for piece in (*_PIECE.findall(header), ","):
        if piece == "," and link:
            yield link
            link = []
        elif piece not in {",", ";"}:
            link.append(piece.strip())


def _relations(parameters: list[str]) -> list[str]:
    """Only the first `rel` counts (section 3.3). Some write it in single quotes."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "rel":
            return value.strip().strip("\"'").lower().split()
    return []


def below(base_url: str, address: str, page: str = "/") -> tuple[str, MultiDict[str]]:
    """An address of the API as (path below `base_url`, parameters, each as often as it comes). One that is relative
    begins at `page`, which named it: the path below `base_url` and the query, as they were asked for (RFC 3986, 5.2).

    Raises Elsewhere if it does not lie there: our token must not go anywhere else.
    """
    base = urlsplit(base_url.rstrip("/"))
    try:
        there = urlsplit(urljoin(base.geturl() + page, address))
        same = _origin(there) == _origin(base)
    except ValueError:
        raise Elsewhere("it is no address") from None
    path = there.path.removeprefix(base.path)
    if not same or there.path != base.path + path or not path.startswith("/") or ".." in unquote(path).split("/"):
        raise Elsewhere("it leads away from the API")
    return path, MultiDict(parse_qsl(there.query, keep_blank_values=True))


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """However it is written (RFC 3986, 6.2.3): hosts in small letters, ports that go without saying said."""
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)

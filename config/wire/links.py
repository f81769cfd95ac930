"""Where a list goes on, as its answer says (RFC 8288, Web Linking)."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urljoin, urlsplit

from multidict import MultiDict

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~-]+\*?\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]*))', re.IGNORECASE)


class Elsewhere(ValueError):
    """The address leads away from the API it came from."""


def following(headers: Mapping[str, str]) -> str | None:
    """The address under `rel="next"` in the `Link` header; None without one."""
    for address, parameters in _LINK.findall(headers.get("link", "")):
        rel = _REL.search(parameters)
        if rel and "next" in (rel[1] or rel[2]).lower().split():
            return str(address)
    return None


def below(base_url: str, address: str) -> tuple[str, MultiDict[str]]:
    """An address of the API as (path below `base_url`, parameters, each as often as it comes); it may be written as a
    path.

    Raises Elsewhere if it does not lie there: our token must not go anywhere else.
    """
    base, there = urlsplit(base_url), urlsplit(urljoin(f"{base_url}/", address))
    same = (base.scheme, base.netloc) == (there.scheme, there.netloc)
    path = there.path.removeprefix(base.path.rstrip("/"))
    if not same or not (there.path == base.path.rstrip("/") + path and path.startswith("/")) or ".." in path.split("/"):
        raise Elsewhere("it leads away from the API")
    return path, MultiDict(parse_qsl(there.query, keep_blank_values=True))

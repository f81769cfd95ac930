"""Names as parts of a path of the API."""

from urllib.parse import quote


def segment(name: str) -> str:
    """The name as one segment, whatever it is: `..` is a legal key of a record, and no step up."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%2E") if set(name) == {"."} else quoted

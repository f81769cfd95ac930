"""Names as parts of a path of the API."""

import re
from urllib.parse import quote

#: Stands before the name of a task where an Actor's could stand as well.
TASK = "task:"
_NAME = re.compile(r"(?:\w[\w.-]*[~/])?\w[\w.-]*", re.ASCII)


def segment(name: str) -> str:
    """The name as one segment, whatever it is: `..` is a legal key of a record, and no step up."""
    quoted = quote(name, safe="")
    return quoted.replace(".", "%2E") if set(name) == {"."} else quoted


def program_path(name: str) -> str:
    """`/acts/<actor>` for an Actor's id, `owner~name` or `owner/name`; `/actor-tasks/<task>` for a task, whose name
    has `task:` in front. Raises ValueError."""
    actor = name.removeprefix(TASK)
    if not _NAME.fullmatch(actor):
        raise ValueError("an Actor is named by its id, as owner/name or as owner~name; a task as task:owner/name")
    collection = "acts" if actor == name else "actor-tasks"
    return f"/{collection}/{quote(actor.replace('/', '~'), safe='~')}"

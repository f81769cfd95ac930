"""What tasks found out, as items: each element of a list, or the whole, with its task's id and kind in front."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from config.contracts.api import Api, TooLarge
from config.contracts.errors import Permanent
from config.contracts.reasons import Reason
from config.contracts.source import Page
from config.sources.ittybit.outputs import Output
from config.sources.ittybit.records import Fresh, opened

#: Most bytes of one JSON file.
BYTES = 32 * 1024 * 1024

Rows = list[bytes]
#: An output of one life of a run.
Name = tuple[str, str, str, int]


async def rows(api: Api, output: Output, fresh: Fresh) -> Rows:
    """The items of one analysis, each with its newline.

    Raises Permanent (source_refused) for a file that is too large, or no JSON.
    """
    body = await _file(api, output, fresh) if output.url else msgspec.json.encode(output.said)
    front = {"task_id": output.task, "task_kind": output.kind}
    try:
        body.decode()  # what is not looked into is not checked otherwise
        return [_item(element, front) for element in _elements(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Permanent(
            Reason.SOURCE_REFUSED, f"what the task {output.task!a} put out as JSON is none: leave `items` out"
        ) from None


class Window:
    """The items from one on, as far as a page may reach, of however many."""

    def __init__(self, offset: int, limit: int, most: int) -> None:
        self._skip, self._left, self._room = offset, limit, most
        self._rows: Rows = []
        self.total = 0

    def take(self, rows: Rows) -> None:
        """The next items. Raises TooLarge."""
        self.total += len(rows)
        taken = rows[self._skip : self._skip + self._left]
        self._skip = max(0, self._skip - len(rows))
        self._left -= len(taken)
        self._room -= sum(map(len, taken))
        if self._room < 0:
            raise TooLarge
        self._rows += taken

    def page(self, at: float) -> Page:
        count = len(self._rows)
        return Page(lines=b"".join(self._rows), count=count, scanned=count, total=self.total, at=at)


async def _file(api: Api, output: Output, fresh: Fresh) -> bytes:
    body = bytearray()
    async with AsyncExitStack() as stack:
        answer = await opened(stack, api, output.url, fresh)
        async for chunk in answer.chunks:
            body += chunk
            if len(body) > BYTES:
                raise Permanent(
                    Reason.SOURCE_REFUSED,
                    f"the JSON file of the task {output.task!a} has more than {BYTES} bytes, too many for items: read "
                    "it as a record",
                )
    return bytes(body)


def _elements(body: bytes) -> Iterator[msgspec.Raw]:
    """As they were written."""
    whole = msgspec.json.decode(body, type=msgspec.Raw)
    yield from msgspec.json.decode(body, type=list[msgspec.Raw]) if bytes(whole).startswith(b"[") else (whole,)


def _item(element: msgspec.Raw, front: dict[str, Any]) -> bytes:
    """One line. What the element says itself counts; numbers stay as they were written."""
    if bytes(element).startswith(b"{"):
        said = msgspec.json.decode(element, type=dict[str, msgspec.Raw])
        whole = {**front, **said}
    else:
        whole = {**front, "value": element}
    return msgspec.json.format(msgspec.json.encode(whole), indent=-1) + b"\n"

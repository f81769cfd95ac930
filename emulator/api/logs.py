"""Logs of runs and builds (Apify API, "Get log")."""

from collections.abc import AsyncIterator, Iterable, Iterator

from starlette.responses import Response, StreamingResponse

from emulator.api.call import Call, Endpoint, Find
from emulator.runlog import without_colours

_MEDIA_TYPE = "text/plain; charset=utf-8"


def endpoints(path: str, find: Find, *, public: bool) -> list[Endpoint]:
    """A run's log, wherever it hangs."""

    async def show(call: Call) -> Response:
        return get_log(call, find(call)["id"])

    return [Endpoint(path, {"GET": show}, public)]


def get_log(call: Call, run_id: str) -> Response:
    """The log of a run so far; with `stream` the answer goes on until the run ends."""
    logs = call.platform.logs
    growing = logs.follow(run_id) if call.query.flag("stream") else None
    return lines_answer(call, run_id, growing or logs.read(run_id))


def lines_answer(call: Call, id_: str, blocks: Iterable[list[str]] | AsyncIterator[list[str]]) -> Response:
    """Lines of a log as text: coloured with `raw`, to be saved as a file with `download`."""
    is_raw = bool(call.query.flag("raw"))
    is_download = bool(call.query.flag("download"))
    headers = {"Content-Disposition": f'attachment; filename="{id_}.txt"'} if is_download else None
    body = _following(blocks, is_raw) if isinstance(blocks, AsyncIterator) else _reading(blocks, is_raw)
    return StreamingResponse(body, headers=headers, media_type=_MEDIA_TYPE)


def _reading(blocks: Iterable[list[str]], is_raw: bool) -> Iterator[str]:
    for lines in blocks:
        yield _text(lines, is_raw)


async def _following(blocks: AsyncIterator[list[str]], is_raw: bool) -> AsyncIterator[str]:
    async for lines in blocks:
        yield _text(lines, is_raw)


def _text(lines: list[str], is_raw: bool) -> str:
    return "".join(lines if is_raw else map(without_colours, lines))

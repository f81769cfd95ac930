"""Logs of runs (Apify API, "Get log")."""

from collections.abc import AsyncIterator, Iterable, Iterator

from starlette.responses import Response, StreamingResponse

from emulator.api.call import Call, Endpoint, Find
from emulator.runlog import without_colours

_MEDIA_TYPE = "text/plain; charset=utf-8"


def standalone(find: Find) -> list[Endpoint]:
    """`/v2/logs/{id}`."""
    return endpoints("/v2/logs/{run}", find, public=True)


def endpoints(path: str, find: Find, *, public: bool) -> list[Endpoint]:
    """A run's log, wherever it hangs."""

    async def show(call: Call) -> Response:
        return get_log(call, find(call)["id"])

    return [Endpoint(path, {"GET": show}, public)]


def get_log(call: Call, run_id: str) -> Response:
    """The log so far; with `stream` the answer goes on until the run ends."""
    is_raw = bool(call.query.flag("raw"))
    is_download = bool(call.query.flag("download"))
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.txt"'} if is_download else None
    growing = call.platform.logs.follow(run_id) if call.query.flag("stream") else None
    body = _following(growing, is_raw) if growing else _reading(call.platform.logs.read(run_id), is_raw)
    return StreamingResponse(body, headers=headers, media_type=_MEDIA_TYPE)


def _reading(blocks: Iterable[list[str]], is_raw: bool) -> Iterator[str]:
    for lines in blocks:
        yield _text(lines, is_raw)


async def _following(blocks: AsyncIterator[list[str]], is_raw: bool) -> AsyncIterator[str]:
    async for lines in blocks:
        yield _text(lines, is_raw)


def _text(lines: list[str], is_raw: bool) -> str:
    return "".join(lines if is_raw else map(without_colours, lines))

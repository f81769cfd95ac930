"""Five million rows out of a real emulator process. Not part of `make test`: `make test-long`."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

ROWS = 5_000_000
_SERVE = """
import asyncio, pathlib, sys
from emulator.serve import serve
from emulator.settings import EmulatorSettings
asyncio.run(serve(EmulatorSettings(data=pathlib.Path(sys.argv[1])), port=0, ready=lambda url: print(url, flush=True)))
"""


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """An emulator in a process of its own: its address and its process id."""
    command = (sys.executable, "-c", _SERVE, str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    yield (await process.stdout.readline()).decode().strip(), process.pid
    process.kill()
    await process.wait()


def resident_mib(pid: int) -> float:
    """Memory of a process that lies in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "query", ["format=jsonl", "format=json", "format=jsonl&fields=id,title", "format=csv&fields=id"]
)
async def test_five_million_rows_are_read_whole_with_flat_memory(emulator: tuple[str, int], query: str) -> None:
    url, pid = emulator
    async with aiohttp.ClientSession(
        url, headers={"Authorization": "Bearer t", "Accept-Encoding": "identity"}
    ) as client:
        async with client.post("/emulator/datasets", json={"rows": ROWS}) as answer:
            items = f"/v2/datasets/{(await answer.json())['data']['id']}/items?{query}"
        await read(client, f"{items}&limit=20000", pid)  # what any reading needs once
        before, started = resident_mib(pid), time.perf_counter()
        lines, peak = await read(client, items, pid)
    seconds = time.perf_counter() - started
    figures = {"query": query, "rows": ROWS, "items a second": round(ROWS / seconds)}
    print(json.dumps({**figures, "RSS before, MiB": round(before, 1), "RSS at most, MiB": round(peak, 1)}))
    assert lines == {"format=json": ROWS - 1, "format=csv&fields=id": ROWS + 1}.get(query, ROWS)
    assert peak - before < 32


async def read(client: aiohttp.ClientSession, path: str, pid: int) -> tuple[int, float]:
    """Read an answer to its end: how many line feeds it held, and the process's largest memory meanwhile in MiB."""
    lines, peak = 0, 0.0
    async with client.get(path, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        async for piece in answer.content.iter_any():
            lines += piece.count(b"\n")
            peak = max(peak, resident_mib(pid))
    return lines, peak

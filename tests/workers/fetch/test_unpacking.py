"""Whatever a body is packed with and however it is cut on its way: it arrives whole, or not at all."""

import asyncio
import bz2
import gzip
import random
import zlib
from collections.abc import AsyncIterator, Callable, Iterable

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from aiohttp.client_exceptions import ClientPayloadError
from backports import zstd
from hypothesis import assume, given
from hypothesis import strategies as st

from config.contracts.errors import Permanent
from workers.fetch.unpacking import ENCODINGS, FREE, PIECE, RATIO, unpacked


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def halves(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda body: pack(body[: len(body) // 2]) + pack(body[len(body) // 2 :])


#: Name → value of Content-Encoding, and the way to pack.
PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "two members": ("gzip", halves(gzip.compress)),
    "x-gzip": ("X-GZIP ", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "br": ("br", lambda body: bytes(brotli.compress(body, quality=2))),
    "zstd": ("zstd", zstd.compress),
    "two frames": ("zstd", halves(zstd.compress)),
    "a frame to skip": ("zstd", lambda body: b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + zstd.compress(body)),
}
#: A cut between two of these is an end of its own, and nobody could tell.
MANY = {"two members", "two frames", "a frame to skip"}
BODIES = st.binary(max_size=2000) | st.builds(
    lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 9), st.integers(0, 50_000)
)
BOUNDARIES = st.lists(st.integers(1, 3000), min_size=1, max_size=8)


async def each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """The body in pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    start = 0
    while start < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[start : start + size])
        start += size
    return pieces


async def whole(pieces: Iterable[bytes], encoding: str) -> bytes:
    return b"".join([piece async for piece in unpacked(each(pieces), encoding)])


def test_what_we_ask_for_is_what_we_can_unpack() -> None:
    assert ENCODINGS == "gzip, deflate, br, zstd"
    assert {encoding.strip().lower() for encoding, _ in PACKERS.values()} >= set(ENCODINGS.split(", "))


@given(st.sampled_from(list(PACKERS)), BODIES, BOUNDARIES)
async def test_however_a_packed_body_is_cut_into_pieces_it_arrives_as_it_was(
    name: str, body: bytes, sizes: list[int]
) -> None:
    encoding, pack = PACKERS[name]
    assert await whole(cut(pack(body), sizes), encoding) == body


@given(st.sampled_from(sorted(set(PACKERS) - MANY)), BODIES, BOUNDARIES, st.data())
async def test_wherever_a_packed_body_breaks_off_it_is_never_taken_for_whole(
    name: str, body: bytes, sizes: list[int], data: st.DataObject
) -> None:
    encoding, pack = PACKERS[name]
    packed = pack(body)
    kept = data.draw(st.integers(0, len(packed) - 1) | st.integers(max(0, len(packed) - 12), len(packed) - 1))
    with pytest.raises(ClientPayloadError):
        await whole(cut(packed[:kept], sizes), encoding)


@given(st.sampled_from(["gzip", "zstd"]), BODIES, BOUNDARIES, st.data())
async def test_the_last_of_several_members_may_not_break_off_either(
    encoding: str, body: bytes, sizes: list[int], data: st.DataObject
) -> None:
    _, pack = PACKERS[encoding]
    first, last = pack(b"first"), pack(body)
    kept = data.draw(st.integers(1, len(last) - 1))
    with pytest.raises(ClientPayloadError):
        await whole(cut(first + last[:kept], sizes), encoding)


@given(st.sampled_from(list(PACKERS)), st.binary(min_size=1, max_size=300), BOUNDARIES)
async def test_bytes_that_are_no_packed_body_are_damage(name: str, noise: bytes, sizes: list[int]) -> None:
    encoding, _ = PACKERS[name]
    try:
        unpacked_at_once = await whole([noise], encoding)
    except ClientPayloadError:
        with pytest.raises(ClientPayloadError):
            await whole(cut(noise, sizes), encoding)
    else:
        assume(len(noise) > 1)
        assert await whole(cut(noise, sizes), encoding) == unpacked_at_once


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
async def test_what_follows_the_end_and_is_no_packed_body_is_damage(name: str) -> None:
    encoding, pack = PACKERS[name]
    for pieces in ([pack(b"body") + b"more"], [pack(b"body"), b"more"]):
        with pytest.raises(ClientPayloadError):
            await whole(pieces, encoding)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
async def test_nothing_is_lost_at_a_full_piece_and_no_piece_is_larger(name: str, size: int) -> None:
    encoding, pack = PACKERS[name]
    pieces = [piece async for piece in unpacked(each([pack(bytes(size))]), encoding)]
    assert b"".join(pieces) == bytes(size)
    assert max(map(len, pieces)) <= PIECE


async def test_an_unpacked_body_passes_as_it_is() -> None:
    for encoding in ("", "identity", " Identity "):
        assert await whole([b"a", b"b"], encoding) == b"ab"
    assert await whole([], "") == b""


@pytest.mark.parametrize("encoding", ["bzip2", "compress", "gzip, br", "aws-chunked", "gzip;q=1"])
async def test_a_way_of_packing_nobody_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(Permanent) as caught:
        await whole([bz2.compress(b"body")], encoding)
    assert caught.value.detail == f"the body is packed in a way we did not ask for: {encoding}"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_a_bomb_is_refused_before_it_has_unpacked(encoding: str) -> None:
    bombs = {
        "gzip": gzip.compress(bytes(2 * FREE)),
        "br": brotli.compress(bytes(2 * FREE), quality=1),
        "zstd": zstd.compress(bytes(2 * FREE), 1),
    }
    sizes: list[int] = []

    async def read() -> None:
        async for piece in unpacked(each(cut(bombs[encoding], [500])), encoding):
            sizes.append(len(piece))

    with pytest.raises(Permanent) as caught:
        await read()
    assert caught.value.detail == f"the body unpacks to more than {RATIO} times its size"
    assert sum(sizes) <= FREE


async def test_a_large_body_that_packs_well_is_no_bomb() -> None:
    row = random.Random(1).randbytes(2000) + bytes(90_000)
    body = row * (FREE // len(row) + 50)
    packed = b"".join(gzip.compress(body[start : start + len(row)]) for start in range(0, len(body), len(row)))
    assert len(await whole(cut(packed, [65536]), "gzip")) == len(body)


async def test_a_frame_that_wants_more_memory_than_it_may_is_damage() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    with pytest.raises(ClientPayloadError):
        await whole([packer.compress(bytes(1000)) + packer.flush()], "zstd")


async def test_others_get_their_turn_while_a_few_packed_bytes_become_many_pieces() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async for _ in unpacked(each([gzip.compress(bytes(20 * PIECE))]), "gzip"):
        pass
    counting.cancel()
    assert turns >= 20

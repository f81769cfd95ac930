"""Writes objects so that what lies there is known again: each carries whose it is, and the digest of its bytes."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError
from obstore.store import ObjectStore

from config.contracts.errors import Permanent, Transient, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Shipment
from workers.sinks._object_stores import Place
from workers.sinks._object_verdicts import code_of, is_absent, trouble, unsupported, verdict
from workers.staging import blocking

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion

#: Larger objects are sent in parts, four at a time: the least that S3 takes as one, and the most parts of an object.
PART = 5 << 20
_PARTS = 10_000
_AT_A_TIME = 4
_PIECE = 1 << 20
#: How often an object that changes while we look is looked at again.
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Whose:
    """Which delivery wrote an object: kept in its metadata, under names that every store can keep.

    `life` and `generation` order those of one run to one target.
    """

    delivery: str
    run: str
    target: str
    stream: str
    life: str
    generation: int

    def metadata(self) -> dict[str, str]:
        """Printable ASCII, as headers want it."""
        return {name: quote(str(getattr(self, name)), safe="/:.@ ~") for name in self.__slots__}


def whose(shipment: Shipment) -> Whose:
    one = shipment.delivery
    return Whose(
        delivery=one.id,
        run=f"{one.source}/{one.run_id}",
        target=f"{one.route}/{one.target}",
        stream=shipment.stream,
        life=one.life,
        generation=one.generation,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a key. `tag` names this very version of it; `metadata` also has what is not of ours."""

    size: int
    tag: "UpdateVersion"
    metadata: Mapping[str, str]

    def is_by(self, who: Whose) -> bool:
        """Whether this very delivery wrote it."""
        return self.metadata.get("delivery") == who.delivery

    def is_of(self, who: Whose) -> bool:
        """Whether it holds the same of the same run, perhaps from another finish or a replay."""
        mine = who.metadata()
        return all(self.metadata.get(name) == mine[name] for name in ("run", "target", "stream"))

    def is_newer_than(self, who: Whose) -> bool:
        """Of two that hold the same of the same run."""
        generation = self.metadata.get("generation", "")
        written = self.metadata.get("life", ""), int(generation) if generation.isdecimal() else 0
        return written > (who.metadata()["life"], who.generation)


class Objects:
    """The objects of one bucket, under one prefix. Raises (all calls): the verdicts of `_object_verdicts`."""

    def __init__(self, store: ObjectStore, place: Place, attributes: Mapping[str, str]) -> None:
        """`attributes`: what every object gets."""
        self.store, self.place, self.attributes = store, place, attributes
        self.conditional = True

    async def publish(self, key: str, file: Path, kind: Mapping[str, str], who: Whose) -> None:
        """Put a finished file there, once, unless what lies there is somebody else's or newer.

        A replay, which is asked for by hand, may replace what is not its own. Large objects, and those of stores
        without conditional writes, are looked for first: what comes to lie there in between is replaced.
        """
        size, digest = await blocking(_digest, file)
        attributes = {**kind, **who.metadata(), "sha256": digest}
        body: Path | bytes = file if size > PART else await blocking(file.read_bytes)
        mode: PutMode = "create"
        for _ in range(_LOOKS):
            if isinstance(body, bytes) and self.conditional and await self._put_if(key, body, attributes, mode):
                return None
            found = await self.look(key)
            if found is not None and await self._settled(key, found, size, digest, who):
                return None
            if isinstance(body, Path) or not self.conditional:
                return await self._overwrite(key, body, attributes, size)
            mode = "create" if found is None else found.tag
        raise Transient(Reason.TARGET_UNAVAILABLE, f"{_shown(key)} changes all the time: somebody else writes it")

    async def look(self, key: str) -> Found | None:
        """What lies there; None if nothing does."""
        try:
            found = await obstore.get_async(self.store, key, options={"head": True})
        except FileNotFoundError as exc:
            if refused := await self._asked_again():
                raise refused from exc
            return None
        except BaseError as exc:
            raise await self._refusal(exc) from exc
        tag: UpdateVersion = {}
        if e_tag := found.meta["e_tag"]:
            tag["e_tag"] = e_tag
        if version := found.meta["version"]:
            tag["version"] = version
        return Found(found.meta["size"], tag, {name.lower(): value for name, value in found.attributes.items()})

    async def stream(self, key: str, chunks: AsyncIterator[bytes], kind: Mapping[str, str], who: Whose) -> int:
        """Write a document, replacing what lies there; it appears whole. Returns its size."""
        attributes = {**kind, **who.metadata()}
        start = bytearray()
        async for chunk in chunks:
            start += chunk
            if len(start) > PART:
                rest = _Counted(bytes(start), chunks)
                await self._overwrite(key, rest, attributes, None)
                return rest.size
        attributes["sha256"] = hashlib.sha256(start).hexdigest()
        await self._overwrite(key, bytes(start), attributes, len(start))
        return len(start)

    async def try_out(self, key: str) -> None:
        """Whether objects may be looked for and written there. None is: it is put on a condition that never holds."""
        await self.look(key)
        never: PutMode = {"e_tag": f'"{"0" * 32}"', "version": "1"}
        if await self._put_if(key, b"", {}, never):
            await self._remove(key)
        elif not self.conditional:
            await self._overwrite(key, b"", {}, 0)
            await self._remove(key)

    async def _settled(self, key: str, found: Found, size: int, digest: str, who: Whose) -> bool:
        """Whether our bytes lie there already. Raises Permanent if what lies there is not to be replaced."""
        if found.size == size and await self._digest_of(key, found) == digest:
            return True
        if found.is_of(who):
            if found.is_newer_than(who):
                raise Permanent(Reason.SUPERSEDED, f"a later finish of this run, or a replay, lies at {_shown(key)}")
        elif not who.generation:
            cure = "choose another `path`, or replay this delivery, which overwrites it"
            raise Permanent(Reason.UPLOAD_CONFLICT, f"another object lies at {_shown(key)}: {cure}")
        return False

    async def _digest_of(self, key: str, found: Found) -> str:
        if told := found.metadata.get("sha256"):
            return told
        sha = hashlib.sha256()
        with trouble(self.place):
            async for piece in await obstore.get_async(self.store, key):
                sha.update(piece)
        return sha.hexdigest()

    async def _put_if(self, key: str, body: bytes, attributes: Mapping[str, str], mode: "PutMode") -> bool:
        """Whether it could be written on that condition."""
        try:
            await obstore.put_async(self.store, key, body, attributes={**self.attributes, **attributes}, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return False
        except (BaseError, FileNotFoundError) as exc:
            if unsupported(exc):
                self.conditional = False
            elif not (isinstance(mode, dict) and is_absent(exc)):
                raise await self._refusal(exc) from exc
            return False
        return True

    async def _overwrite(self, key: str, body: Any, attributes: Mapping[str, str], size: int | None) -> None:
        try:
            await obstore.put_async(
                self.store,
                key,
                body,
                attributes={**self.attributes, **attributes},
                use_multipart=not isinstance(body, bytes),
                chunk_size=max(PART, (size or 0) // _PARTS + 1),
                max_concurrency=_AT_A_TIME,
            )
        except (BaseError, FileNotFoundError) as exc:
            raise await self._refusal(exc) from exc

    async def _remove(self, key: str) -> None:
        with trouble(self.place):
            await obstore.delete_async(self.store, key)

    async def _refusal(self, exc: BaseException) -> WorkError:
        """Why it was refused. A refused look has no words, and some say `access denied` where there is no bucket."""
        vague = isinstance(exc, PermissionDeniedError) and code_of(exc) in {"", "AccessDenied"}
        return (await self._asked_again() if vague else None) or verdict(exc, self.place)

    async def _asked_again(self) -> WorkError | None:
        """What the store says in words to somebody who reads what is not there; None if that is all it says."""
        try:
            await obstore.get_async(self.store, ".runrelay-nothing-lies-here")
        except (BaseError, FileNotFoundError) as exc:
            return None if is_absent(exc) else verdict(exc, self.place)
        return None


class _Counted:
    """Chunks behind a first one, and how many bytes they were."""

    def __init__(self, start: bytes, rest: AsyncIterator[bytes]) -> None:
        self.start, self.rest, self.size = start, rest, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.size = len(self.start)
        yield self.start
        self.start = b""
        async for chunk in self.rest:
            self.size += len(chunk)
            yield chunk


def _digest(file: Path) -> tuple[int, str]:
    """Size and sha256 in hex. Raises OSError."""
    sha, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            sha.update(piece)
            size += len(piece)
    return size, sha.hexdigest()


def _shown(key: str) -> str:
    return f"`{key if len(key) <= 120 else f'…{key[-119:]}'}`"

"""Our place in a Redis stream, kept beside it: a script adds entries and moves the place in one step, or does neither.

The place is a hash, `runrelay:{<tag>}:<delivery>:<stream>`. `<tag>` is the part of the target's name that Redis Cluster
hashes, so that both keys lie in one slot (redis.io: "Cluster specification", hash tags).
"""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from redis.asyncio import Redis

from config.contracts.errors import Transient
from config.contracts.reasons import Reason
from config.contracts.sink import Shipment
from workers.sinks._message import Message, windows

#: Our place is forgotten when nobody wrote to the stream for so long; retries end long before. Milliseconds.
KEPT = 30 * 86_400_000
#: A script holds up everybody else on the server: so many messages, or bytes, and it is enough.
STEP, STEP_BYTES = 250, 1024**2

_TAG = re.compile(r"\{([^}]+)\}")

#: KEYS: ledger. ARGV: holder, ms to keep it. Returns our place.
_START = """
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tonumber(redis.call('HGET', KEYS[1], 'next') or '0')
"""

#: KEYS: stream, ledger. ARGV: holder, ms to keep the ledger, our place as we know it, length to trim to ('' for none),
#: how many words of fields and values all entries share, these words, then of each entry: the row behind it ('' for a
#: document), its id, how many rows it holds, how many words of its own, these, its body.
#: Returns rows and bytes of those that are there now, whoever added them, and the place behind them; -1 if somebody
#: else holds the ledger, or the server fell behind our place: a crash may cost it its last second.
#: What may be refused comes first: a script that is broken off keeps what it has written.
_ADD = """
local reached = tonumber(redis.call('HGET', KEYS[2], 'next') or '0')
if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[1] or reached < tonumber(ARGV[3]) then return { -1, 0, 0 } end
redis.call('HSET', KEYS[2], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local at = 6
local function words(into, many)
    for _ = 1, many do
        into[#into + 1] = ARGV[at]
        at = at + 1
    end
    return into
end
local shared = words({}, ARGV[5])
local function entry(many)
    local made = { KEYS[1] }
    if ARGV[4] ~= '' then made = { KEYS[1], 'MAXLEN', '~', ARGV[4] } end
    made[#made + 1] = '*'
    for _, word in ipairs(shared) do made[#made + 1] = word end
    return words(made, many)
end
local function known(behind, id)
    if behind == '' then return redis.call('HEXISTS', KEYS[2], id) == 1 end
    return tonumber(behind) <= reached
end
local rows, bytes = 0, 0
while at <= #ARGV do
    local behind, id, holds, many = unpack(words({}, 4))
    local made = entry(many)
    made[#made + 1], made[#made + 2] = 'data', ARGV[at]
    if not known(behind, id) then
        redis.call('XADD', unpack(made))
        if behind == '' then
            reached = reached + 1
            redis.call('HSET', KEYS[2], id, reached)
        else
            reached = tonumber(behind)
        end
    end
    rows, bytes, at = rows + holds, bytes + #ARGV[at], at + 1
end
redis.call('HSET', KEYS[2], 'next', reached)
return { rows, bytes, reached }
"""


@dataclass(frozen=True, slots=True)
class Added:
    """What is there of the messages of one call, by the server's count."""

    rows: int = 0
    messages: int = 0
    bytes: int = 0


class Place:
    """One stream of one delivery on its way to one Redis stream. Every call raises RedisError and OSError.

    Attributes:
        reached: by the server's account, the row behind the last one that is there, or how many documents are.
    """

    def __init__(self, redis: Redis, target: str, shipment: Shipment, maxlen: int | None) -> None:
        tag = _TAG.search(target)
        self.redis, self.target, self.maxlen = redis, target, maxlen
        self.ledger = f"runrelay:{{{tag[1] if tag else target}}}:{shipment.delivery.id}:{shipment.stream}"
        self.holder = uuid.uuid4().hex
        self.reached = 0
        self._start, self._add = redis.register_script(_START), redis.register_script(_ADD)

    async def start(self) -> None:
        """Become the stream's writer."""
        self.reached = int(cast(int, await self._start([self.ledger], [self.holder, KEPT])))

    async def add(self, messages: Iterable[Message], *, documents: bool = False) -> Added:
        """Add those that are not there yet, step by step. Raises Transient, too, if our place is lost."""
        added = Added()
        for step in windows(messages, STEP, STEP_BYTES):
            said = await self._add([self.target, self.ledger], self._told(step, documents))
            rows, size, reached = cast(list[int], said)
            if rows < 0:
                why = "another worker is writing it, or the server forgot what it had taken"
                raise Transient(Reason.TARGET_UNAVAILABLE, f"our place in {self.target!a} is lost: {why}")
            self.reached = reached
            added = Added(added.rows + rows, added.messages + len(step), added.bytes + size)
        return added

    def _told(self, step: Sequence[Message], documents: bool) -> list[Any]:
        shared = dict(set.intersection(*(set(message.headers.items()) for message in step)))
        told: list[Any] = [self.holder, KEPT, self.reached, self.maxlen or ""]
        told += [2 * len(shared), *chain(*sorted(shared.items()))]
        for message in step:
            own = [pair for pair in message.headers.items() if pair[0] not in shared]
            behind = "" if documents else message.rows[-1] + 1
            told += [behind, message.id, len(message.rows), 2 * len(own), *chain(*own), message.body]
        return told

"""What every source promises. A source's own test module inherits `SourceContract` and gives it one fixture, `place`:
the source, and something real on 127.0.0.1 that answers as its platform does.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

import msgspec
import pytest

from config.contracts.api import Patience
from config.contracts.errors import NotFound, Permanent, Refused, Transient, Unauthorized, WorkError
from config.contracts.event import Event, Ignored, Test
from config.contracts.reasons import PAUSES_SOURCE, Reason
from config.contracts.run import Run
from config.contracts.source import Source
from config.route import BatchSize
from workers.fetch.api import HttpApi, open_session
from workers.fetch.budget import Budget
from workers.fetch.documents import keys
from workers.fetch.reader import DatasetReader

#: A word that no platform has for anything.
UNHEARD_OF = "defenestrated"
#: A secret of somebody else's, in a form that any scheme takes.
STRANGE = "c2VjcmV0LW9mLXNvbWVib2R5LWVsc2U="
#: Statuses of answers to a webhook that nobody can read.
UNREADABLE = {400, 422}
ITEMS = [{"n": n, "price": 0.1 + n, "big": 2**53 + n, "text": f"ß🎈{n}", "none": None} for n in range(25)]
FILES = {"page.html": "<p>å</p>".encode(), "shot.png": b"\x89PNG\r\n\x1a\n\x00\xff" * 50_000}
RUBBISH = {
    "nothing": b"",
    "no JSON": b"id=r1&status=done",
    "half of it": b'{"id": "r1',
    "a list": b"[1]",
    "a number": b"7",
    "null": b"null",
    "a text": b'"r1"',
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "depth": b"[" * 100_000,
    "objects in objects": b'{"a":' * 50_000,
    "noise": bytes(range(256)) * 4096,
}
#: What may stand in the place of any byte.
PIECES = (b"", b"\xff", b'"', b"[", b"\\u0000", b"../")
#: Well-formed, and of nobody.
IDLE = {"an empty object": b"{}", "no id": b'{"status": "x"}', "an id of its own kind": b'{"id": {"a": []}, "data": 1}'}


@dataclass(frozen=True)
class Webhook:
    """One webhook as it comes.

    Attributes:
        headers: names lower case.
        secret: what stands in `Authorization` behind `Bearer`, or at the end of the path, if anything does.
    """

    body: bytes
    headers: Mapping[str, str]
    secret: str | None = None


class Place(Protocol):
    """A platform with one account, as far as a stand-in goes."""

    @property
    def source(self) -> Source:
        """With the account's own token, and `settle.quiet` 0, so that nothing waits. The same one each time."""
        ...

    def puts(
        self,
        run_id: str,
        status: str,
        items: Sequence[Mapping[str, Any]] = (),
        files: Mapping[str, bytes] | None = None,
        *,
        finishes: int = 1,
    ) -> None:
        """From now on the platform knows this run, as it stands, with all that it left.

        finishes: how often it has finished; each time at another moment.
        """
        ...

    def webhook(
        self, run_id: str, kind: str, *, number: int = 1, age: float = 0.0, secret: str | None = None
    ) -> Webhook:
        """A webhook about a run.

        number: what tells two announcements apart; the same one is the same whenever it is sent.
        age: seconds since it was sent.
        secret: another one than the source's.
        """
        ...

    def refuses(self, status: int, **headers: str) -> None:
        """From now on the API says no to everything, in the platform's own form; `_` stands for `-`."""
        ...

    def answers(self) -> None:
        """The API is itself again."""
        ...

    def expires(self) -> None:
        """From now on every file the runs left is gone, or at an address that is worth nothing any more."""
        ...

    def leaks(self) -> Sequence[str]:
        """Requests beside the API itself that brought its token along."""
        ...


class SourceContract:
    """Inherit as `class TestX(SourceContract)`, with a fixture `place`, which is a `Place`.

    Attributes:
        run_id, other_id: ids as the platform has them.
        ended: kind of a webhook for a run that has ended.
        going_on: kind of one for a run that goes on; None: all mean that a run has ended.
        under_way: status of a run that goes on.
        failed: status of a run that ended otherwise than by itself.
        signs: whether the platform signs bodies.
        tolerance: seconds after which a signature is too old; None: none ever is.
        finishes_again: whether a run can.
        has_items, has_files: whether runs leave any.
    """

    run_id = "r1"
    other_id = "r2"
    ended: str
    going_on: str | None = None
    under_way: str
    failed: str
    signs = False
    tolerance: float | None = None
    finishes_again = True
    has_items = True
    has_files = True

    @pytest.fixture
    async def api(self, place: Place) -> AsyncIterator[HttpApi]:
        async with asking(place.source) as api:
            yield api

    # the door

    def test_a_genuine_webhook_names_its_run(self, place: Place) -> None:
        webhook = place.webhook(self.run_id, self.ended)
        event = announced(place.source, webhook)
        assert (event.source, event.run_id, event.body, event.via) == (
            place.source.name,
            self.run_id,
            webhook.body,
            "webhook",
        )

    def test_a_webhook_with_another_secret_stays_outside(self, place: Place) -> None:
        refusal = refused(place.source, place.webhook(self.run_id, self.ended, secret=STRANGE))
        assert refusal.kind.status == 401

    def test_a_webhook_that_brings_nothing_stays_outside(self, place: Place) -> None:
        body = place.webhook(self.run_id, self.ended).body
        assert refused(place.source, Webhook(body, {})).kind.status == 401

    def test_an_altered_body_stays_outside_wherever_bodies_are_signed(self, place: Place) -> None:
        webhook = place.webhook(self.run_id, self.ended)
        altered = replace(webhook, body=webhook.body + b" ")
        if self.signs:
            assert refused(place.source, altered).kind.status == 401
        else:
            assert announced(place.source, altered).run_id == self.run_id

    def test_a_signature_is_good_for_a_while_if_it_ever_ends(self, place: Place) -> None:
        ages = (0.0, 86400.0) if self.tolerance is None else (0.0, self.tolerance / 2)
        assert [announced(place.source, place.webhook(self.run_id, self.ended, age=age)).run_id for age in ages] == [
            self.run_id
        ] * 2
        if self.tolerance is not None:
            stale = place.webhook(self.run_id, self.ended, age=self.tolerance + 5)
            assert refused(place.source, stale).kind.status == 401

    @pytest.mark.parametrize("body", RUBBISH.values(), ids=RUBBISH)
    def test_rubbish_is_refused_as_such(self, place: Place, body: bytes) -> None:
        headers = place.webhook(self.run_id, self.ended).headers
        with pytest.raises(Refused) as caught:
            place.source.parse(headers, body)
        assert caught.value.kind.status in UNREADABLE

    @pytest.mark.parametrize("body", IDLE.values(), ids=IDLE)
    def test_what_names_no_run_never_becomes_an_event(self, place: Place, body: bytes) -> None:
        headers = place.webhook(self.run_id, self.ended).headers
        assert not isinstance(readable(place.source, headers, body), Event)

    def test_a_webhook_that_was_damaged_anywhere_breaks_nothing(self, place: Place) -> None:
        webhook = place.webhook(self.run_id, self.ended)
        for at, piece in product(range(len(webhook.body)), PIECES):
            event = readable(place.source, webhook.headers, webhook.body[:at] + piece + webhook.body[at + 1 :])
            if isinstance(event, Event):
                assert event.run_id.isascii()
                assert 1 <= len(event.run_id) <= 128

    def test_the_same_webhook_again_is_the_same_event(self, place: Place) -> None:
        once, again = (place.webhook(self.run_id, self.ended) for _ in range(2))
        assert announced(place.source, once).id == announced(place.source, again).id

    def test_a_webhook_that_comes_late_is_the_same_event(self, place: Place) -> None:
        late = place.webhook(self.run_id, self.ended, age=(self.tolerance or 2 * 86400.0) / 2)
        assert announced(place.source, late).id == announced(place.source, place.webhook(self.run_id, self.ended)).id

    def test_another_announcement_is_another_event(self, place: Place) -> None:
        first, second, other = (
            announced(place.source, webhook).id
            for webhook in (
                place.webhook(self.run_id, self.ended),
                place.webhook(self.run_id, self.ended, number=2),
                place.webhook(self.other_id, self.ended, number=3),
            )
        )
        assert len({first, second, other}) == 3

    def test_an_event_of_an_unknown_kind_is_taken_or_ignored(self, place: Place) -> None:
        assert isinstance(through(place.source, place.webhook(self.run_id, UNHEARD_OF)), Event | Ignored)

    def test_an_event_of_a_run_that_goes_on_is_ignored(self, place: Place) -> None:
        if self.going_on is not None:
            assert isinstance(through(place.source, place.webhook(self.run_id, self.going_on)), Ignored)

    # the run

    async def test_a_run_that_came_to_its_own_end_says_so(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, place.source.success)
        run = await place.source.run(api, self.run_id)
        assert (run.id, run.source, run.status) == (self.run_id, place.source.name, place.source.success)
        assert run.terminal
        assert run.succeeded
        assert run.life
        assert run.finished > 0

    async def test_a_run_that_failed_has_ended_too(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, self.failed)
        run = await place.source.run(api, self.run_id)
        assert (run.status, run.terminal, run.succeeded) == (self.failed, True, False)

    async def test_a_run_is_the_same_one_however_often_it_is_asked_for(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, place.source.success, ITEMS, FILES)
        first, again = [await place.source.run(api, self.run_id) for _ in range(2)]
        assert first == again
        assert msgspec.json.decode(msgspec.json.encode(first), type=Run) == first, "the ledger holds it as JSON"

    async def test_a_run_is_its_accounts_own(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, place.source.success)
        run = await place.source.run(api, self.run_id)
        assert run.account in (place.source.accounts or (await place.source.account(api),))

    async def test_a_run_that_goes_on_has_not_ended_whatever_was_announced(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, self.under_way)
        event = announced(place.source, place.webhook(self.run_id, self.ended))
        run = await place.source.run(api, event.run_id, event.body)
        assert (run.status, run.terminal, run.succeeded) == (self.under_way, False, False)
        assert (run.life, run.finished) == ("", 0.0)

    async def test_a_status_nobody_has_heard_of_is_no_end(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, UNHEARD_OF)
        run = await place.source.run(api, self.run_id)
        assert (run.status, run.terminal, run.succeeded, run.life) == (UNHEARD_OF, False, False, "")

    async def test_a_run_that_finishes_again_has_another_life(self, place: Place, api: HttpApi) -> None:
        lives = []
        for finishes in (1, 2):
            place.puts(self.run_id, place.source.success, finishes=finishes)
            lives.append((await place.source.run(api, self.run_id)).life)
        assert len(set(lives)) == (2 if self.finishes_again else 1)

    async def test_a_run_that_is_not_there_yet_is_found_later(self, place: Place, api: HttpApi) -> None:
        with pytest.raises(NotFound):
            await place.source.run(api, self.run_id)
        place.puts(self.run_id, place.source.success)
        assert (await place.source.run(api, self.run_id)).terminal

    async def test_templates_and_people_see_the_run(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, place.source.success)
        described = place.source.describe(await place.source.run(api, self.run_id))
        assert {"run", "actor", "task"} <= described.keys()
        assert described["run"]["status"] == place.source.success

    # refusals

    async def test_a_refused_token_pauses_the_source(self, place: Place, api: HttpApi) -> None:
        error = await self.trouble(place, api, 401)
        assert (type(error), error.reason) == (Unauthorized, Reason.SOURCE_TOKEN_REFUSED)
        assert error.reason in PAUSES_SOURCE

    async def test_an_unpaid_bill_pauses_the_source(self, place: Place, api: HttpApi) -> None:
        error = await self.trouble(place, api, 402)
        assert (type(error), error.reason) == (Unauthorized, Reason.SOURCE_UNPAID)
        assert error.reason in PAUSES_SOURCE

    async def test_what_our_token_may_not_see_is_not_gone(self, place: Place, api: HttpApi) -> None:
        error = await self.trouble(place, api, 403)
        assert isinstance(error, Unauthorized)
        assert error.reason is Reason.SOURCE_TOKEN_REFUSED

    async def test_too_many_requests_are_made_again_when_the_platform_says(self, place: Place, api: HttpApi) -> None:
        error = await self.trouble(place, api, 429, Retry_After="7")
        assert isinstance(error, Transient)
        assert (error.reason, error.retry_after) == (Reason.SOURCE_UNAVAILABLE, 7.0)

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    async def test_trouble_at_the_platform_is_worth_another_try(self, place: Place, api: HttpApi, status: int) -> None:
        error = await self.trouble(place, api, status)
        assert isinstance(error, Transient)
        assert error.reason is Reason.SOURCE_UNAVAILABLE

    async def test_after_a_refusal_all_goes_on(self, place: Place, api: HttpApi) -> None:
        await self.trouble(place, api, 402)
        place.answers()
        assert (await place.source.run(api, self.run_id)).terminal

    async def trouble(self, place: Place, api: HttpApi, status: int, **headers: str) -> WorkError:
        """What becomes of a run that is asked for then: one line that tells no secret."""
        place.puts(self.run_id, place.source.success)
        place.refuses(status, **headers)
        with pytest.raises(WorkError) as raised:
            await place.source.run(api, self.run_id)
        error = raised.value
        assert str(status) in error.detail
        assert "\n" not in error.detail
        assert place.source.manners.token not in error.detail
        return error

    # what it left

    async def test_every_item_arrives_in_order(self, place: Place, api: HttpApi) -> None:
        if self.has_items:
            place.puts(self.run_id, place.source.success, ITEMS)
            found = await read(place.source, api, await place.source.run(api, self.run_id))
            assert [{name: item[name] for name in ITEMS[0]} for item in found] == ITEMS

    async def test_a_run_that_left_nothing_is_no_error(self, place: Place, api: HttpApi) -> None:
        place.puts(self.run_id, place.source.success)
        run = await place.source.run(api, self.run_id)
        assert await read(place.source, api, run) == []
        assert [key async for key in keys(place.source, api, run, None)] == []
        if dataset := run.datasets.get("default"):
            page = await place.source.page(api, run, dataset, offset=0, limit=10, most=2**20)
            count = await place.source.count(api, run, dataset)
            assert (page.lines, page.count, page.total, count.rows) == (b"", 0, 0, 0)

    async def test_files_come_with_their_bytes_and_the_token_stays_at_home(self, place: Place, api: HttpApi) -> None:
        if self.has_files:
            place.puts(self.run_id, place.source.success, files=FILES)
            found = await copied(place.source, api, await place.source.run(api, self.run_id))
            assert sorted(found.values()) == sorted(FILES.values())
            assert all(any(key.endswith(name) for key in found) for name in FILES)
        assert list(place.leaks()) == []

    async def test_a_file_that_is_gone_is_said_to_be(self, place: Place, api: HttpApi) -> None:
        if self.has_files:
            place.puts(self.run_id, place.source.success, files=FILES)
            run = await place.source.run(api, self.run_id)
            listed = [key async for key in keys(place.source, api, run, None)]
            place.expires()
            for key in listed:
                with pytest.raises(Permanent) as raised:
                    async with place.source.record(api, run, key):
                        pass
                assert raised.value.reason is Reason.DATA_EXPIRED


@asynccontextmanager
async def asking(source: Source) -> AsyncIterator[HttpApi]:
    """The real client, which asks once: what the source makes of an answer is asked here, not how patient we are."""
    async with open_session(read_timeout=30) as session:
        yield HttpApi(session, replace(source.manners, patience=Patience(tries=1)))


def through(source: Source, webhook: Webhook) -> Event | Ignored | Test:
    """What the door makes of a webhook, in the order in which it asks. Raises Refused."""
    source.admit("127.0.0.1")
    source.authenticate(webhook.secret, webhook.headers)
    source.verify(webhook.headers, webhook.body)
    return source.parse(webhook.headers, webhook.body)


def announced(source: Source, webhook: Webhook) -> Event:
    event = through(source, webhook)
    assert isinstance(event, Event)
    return event


def refused(source: Source, webhook: Webhook) -> Refused:
    with pytest.raises(Refused) as caught:
        through(source, webhook)
    return caught.value


def readable(source: Source, headers: Mapping[str, str], body: bytes) -> Event | Ignored | Test | None:
    """What a verified webhook says; None if nobody can read it, which the sender is told."""
    try:
        return source.parse(headers, body)
    except Refused as exc:
        refusal = exc
    assert refusal.kind.status in UNREADABLE
    return None


async def read(source: Source, api: HttpApi, run: Run) -> list[dict[str, Any]]:
    """Every item of the run's own dataset, read as a worker reads."""
    dataset = run.datasets.get("default")
    if not dataset:
        return []

    async def settled(end: int, expected: int) -> None:
        ends.append((end, expected))

    lines, ends = list[bytes](), list[tuple[int, int]]()
    size = BatchSize(items=7)
    async with DatasetReader(source, api, run, dataset, size, settled, Budget()) as reader:
        async for batch in reader.batches(0, 0, None):
            assert batch.lines.count(b"\n") == batch.count <= size.items
            lines += batch.lines.splitlines()
    assert ends == [(len(lines), len(lines))]
    return [json.loads(line) for line in lines]


async def copied(source: Source, api: HttpApi, run: Run) -> dict[str, bytes]:
    """Every record of the run's own store."""
    found = dict[str, bytes]()
    async for key in keys(source, api, run, None):
        async with source.record(api, run, key) as document:
            assert document.key == key.key
            found[key.key] = b"".join([chunk async for chunk in document.chunks])
            assert document.size in {None, len(found[key.key])}
    return found

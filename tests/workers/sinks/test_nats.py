import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import nats as client
import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from pydantic import ValidationError
from structlog.testing import capture_logs

from config.contracts.errors import Forbidden, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Checked, Rejected, Sink, Taken
from console.servers.listening import ListeningServer
from console.servers.nats import embedded_nats
from tests.workers.sinks.lists import split
from workers.sinks import _nats_link, nats
from workers.sinks._nats_link import NoResponders, Refusal, refused, verdict
from workers.sinks.nats import Target
from workers.testing.contract import ALL, PNG, THREE, Connect, SinkContract, send
from workers.testing.killed import KilledContract
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, batches, document, shipment

SHOP = Target(subject="shop.{{ run.id }}")
LISTS = Target(subject="shop.{{ run.id }}", per="batch")
FOUR_DAYS = 4 * 86_400

T = TypeVar("T")


class FarStreams:
    """What lies on a server, by a client of our own in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"nats://127.0.0.1:{port}"

    def does(self, work: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        async def connected() -> T:
            connection = await client.connect(self.url, user="relay", password="good")
            try:
                return await work(connection.jetstream())
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, connected()).result()

    def fresh(self, **more: Any) -> None:
        """No stream but one, for the subjects `shop.>`."""

        async def work(js: JetStreamContext) -> None:
            for stream in await js.streams_info():
                await js.delete_stream(str(stream.config.name))
            wanted = {"name": "SHOP", "subjects": ["shop.>"], "duplicate_window": FOUR_DAYS, **more}
            await js.add_stream(StreamConfig(**wanted))

        self.does(work)

    def messages(self, subject: str = "shop.r1") -> list[tuple[bytes, dict[str, str]]]:
        async def work(js: JetStreamContext) -> list[tuple[bytes, dict[str, str]]]:
            name = await js.find_stream_name_by_subject(subject)
            state = (await js.stream_info(name, subjects_filter=subject)).state
            reader = await js.subscribe(subject, ordered_consumer=True)
            found = [await reader.next_msg(5) for _ in range((state.subjects or {}).get(subject, 0))]
            return [(one.data, dict(one.headers or {})) for one in found]

        return self.does(work)

    def items(self, run: str) -> list[bytes]:
        return [data for data, _ in self.messages(f"shop.{run}")]

    def documents(self, run: str) -> list[bytes]:
        found = sorted(self.messages(f"shop.{run}"), key=lambda one: one[1]["runrelay-record"])
        return [data for data, _ in found]


class FarLists(FarStreams):
    def items(self, run: str) -> list[bytes]:
        return [item for data in super().items(run) for item in split(data)]


@pytest.fixture
def far_side(nats_server: ListeningServer) -> FarStreams:
    side = FarStreams(nats_server.port)
    side.fresh()
    return side


@pytest.fixture
def connect(far_side: FarStreams, tmp_path: Path) -> Connect:
    return lambda: opened(far_side.url, tmp_path)


def opened(url: str, spool: Path, **options: Any) -> AbstractAsyncContextManager[Sink]:
    return nats.connect(nats.Config(url=url, **options), around(spool))


def as_user(user: str, far_side: FarStreams, spool: Path) -> AbstractAsyncContextManager[Sink]:
    return opened(far_side.url, spool, user=user, password="good")


async def _ignore(error: Exception) -> None:
    pass


class TestItems(SinkContract, ServerContract, KilledContract):
    module = nats
    options = SHOP

    @pytest.fixture
    def settings(self, far_side: FarStreams) -> dict[str, Any]:
        return {"url": far_side.url}

    @pytest.fixture
    def down(self, tmp_path: Path) -> Connect:
        return lambda: opened("nats://127.0.0.1:1", tmp_path)

    @pytest.fixture
    def refused(self, far_side: FarStreams, tmp_path: Path) -> Connect:
        return lambda: opened(far_side.url, tmp_path, user="relay", password=SECRET)

    @pytest.fixture
    async def silent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
        monkeypatch.setattr(_nats_link, "CONNECTING", 0.5)
        async with silent_server() as port:
            yield lambda: opened(f"nats://127.0.0.1:{port}", tmp_path)


class TestLists(SinkContract):
    module = nats
    options = LISTS

    @pytest.fixture
    def far_side(self, nats_server: ListeningServer) -> FarLists:
        side = FarLists(nats_server.port)
        side.fresh()
        return side


class TestMessages:
    async def test_a_message_says_where_it_comes_from(self, connect: Connect, far_side: FarStreams) -> None:
        shipped = shipment(SHOP)
        async with connect() as sink:
            taken, _ = await send(sink, shipped, batches(*THREE))
        assert taken[0] == Taken(rows=2, out=2, bytes=14, position={"documents": 0})
        assert far_side.messages()[2] == (
            b'{"n":3}',
            {
                "Nats-Msg-Id": f"{shipped.delivery.id}:items:default:2",
                "content-type": "application/json",
                "runrelay-id": f"{shipped.delivery.id}:items:default:2",
                "runrelay-delivery": shipped.delivery.id,
                "runrelay-route": "all",
                "runrelay-target": "out",
                "runrelay-stream": "items:default",
                "runrelay-source": "platform",
                "runrelay-run": "r1",
                "runrelay-actor": "",
                "runrelay-item": "2",
            },
        )

    async def test_what_is_known_already_counts(self, connect: Connect) -> None:
        async with connect() as sink:
            for _ in range(2):
                taken, _ = await send(sink, shipment(SHOP), batches(*THREE))
        assert [(part.rows, part.out) for part in taken] == [(2, 2), (1, 1), (2, 2), (0, 0)]

    async def test_the_subject_may_depend_on_the_item(self, connect: Connect, far_side: FarStreams) -> None:
        items = [b'{"kind":"a"}', b'{"kind":"b.c"}', b'{"kind":"no subject"}', b'{"kind":"*"}', b"{}"]
        options = Target(subject="shop.{{ item.kind }}")
        async with connect() as sink:
            taken, _ = await send(sink, shipment(options), batches(items))
        assert [far_side.items(kind) for kind in ("a", "b.c")] == [items[:1], items[1:2]]
        why = "its subject is empty, or no words parted by dots"
        assert (taken[0].rows, taken[0].rejected) == (2, tuple(Rejected(row, why) for row in (2, 3, 4)))

    @pytest.mark.parametrize("subject", ["$JS.API.STREAM.DELETE.SHOP", "_INBOX.x", "a..b", "a.>", " "])
    async def test_what_a_run_says_never_reaches_subjects_of_the_server(self, connect: Connect, subject: str) -> None:
        async with connect() as sink:
            with pytest.raises(Permanent, match="is no subject"):
                await send(sink, shipment(Target(subject="{{ event.said }}"), event={"said": subject}), [])

    async def test_a_record_keeps_its_name_and_type(self, connect: Connect, far_side: FarStreams) -> None:
        async with connect() as sink, sink.open(shipment(SHOP, stream="records"), None) as writer:
            await writer.document(document("SHÖT", "image/png", PNG))
        ((body, headers),) = far_side.messages()
        assert (headers["runrelay-record"], headers["content-type"], body) == ("SH%C3%96T", "image/png", PNG)


class TestTooLarge:
    async def test_what_server_or_stream_cannot_take_is_rejected_and_the_others_arrive(
        self, connect: Connect, far_side: FarStreams
    ) -> None:
        far_side.fresh(max_msg_size=10_000)
        items = [b'"a"', b'"%s"' % (b"x" * 6000), b'"c"']
        async with connect() as sink:
            taken, _ = await send(sink, shipment(SHOP), batches(items))
            lists, _ = await send(sink, shipment(LISTS, route="lists"), batches([b'"%s"' % (b"y" * 2000)] * 4))
        assert far_side.items("r1")[:2] == [b'"a"', b'"c"']
        assert taken[0].rejected == (Rejected(1, "a message of 6002 bytes, and 5904 is the most"),)
        assert (lists[0].rows, lists[0].out) == (4, 2)

    async def test_the_limit_of_the_server_counts_too(self, connect: Connect, far_side: FarStreams) -> None:
        large = b'"%s"' % (b"x" * (16 * 1024**2 - 100))  # with its headers it would cost us the connection
        async with connect() as sink:
            taken, _ = await send(sink, shipment(SHOP), batches([b"1", large, b"3"]))
        assert (taken[0].rows, len(taken[0].rejected)) == (2, 1)
        assert far_side.items("r1") == [b"1", b"3"]

    async def test_a_stream_we_may_not_ask_about_says_so_itself(self, far_side: FarStreams, tmp_path: Path) -> None:
        far_side.fresh(max_msg_size=10_000)
        items = [b'"a"', b'"%s"' % (b"x" * 20_000), b'"c"']
        async with as_user("blind", far_side, tmp_path) as sink:
            with capture_logs() as logs:
                taken, _ = await send(sink, shipment(SHOP), batches(items))
        assert taken[0].rejected == (Rejected(1, "20002 bytes are more than the stream takes"),)
        assert [line["event"] for line in logs] == ["nats.window_unknown"]


class TestWindow:
    async def test_a_short_window_is_told(self, connect: Connect, far_side: FarStreams) -> None:
        far_side.fresh(duplicate_window=120)
        async with connect() as sink:
            with capture_logs() as logs:
                await send(sink, shipment(SHOP), batches(*THREE))
        assert logs == [
            {
                "event": "nats.window_short",
                "log_level": "warning",
                "stream": "SHOP",
                "window": 120.0,
                "cure": "nats stream edit SHOP --dupe-window 4d",
            }
        ]

    async def test_or_refused(self, connect: Connect, far_side: FarStreams) -> None:
        far_side.fresh(duplicate_window=120)
        strict = Target(subject="shop.x", window="refuse")
        async with connect() as sink:
            assert isinstance(sink, Checked)
            for ask in (sink.check(strict), send(sink, shipment(strict), batches(*THREE))):
                with pytest.raises(Unauthorized) as raised:
                    await ask
                assert raised.value.detail == (
                    "the stream SHOP remembers ids for 120 s, retries take longer: "
                    "`nats stream edit SHOP --dupe-window 4d`"
                )

    async def test_a_stream_is_made_if_it_may_be(self, connect: Connect, far_side: FarStreams) -> None:
        options = Target(subject="new.goods", create=True)
        async with connect() as sink:
            assert isinstance(sink, Checked)
            await sink.check(options)
            await send(sink, shipment(options), batches(*THREE))
        made = far_side.does(lambda js: js.stream_info("new_goods"))
        assert (made.config.subjects, made.config.duplicate_window) == (["new.goods"], FOUR_DAYS)
        assert [data for data, _ in far_side.messages("new.goods")] == ALL

    async def test_check_makes_none(self, connect: Connect, far_side: FarStreams) -> None:
        async with connect() as sink:
            assert isinstance(sink, Checked)
            await sink.check(Target(subject="new.goods", create=True))
        assert [one.config.name for one in far_side.does(lambda js: js.streams_info())] == ["SHOP"]


MISTAKES: list[Any] = [
    pytest.param(
        "relay",
        "nowhere.x",
        Unauthorized,
        "no stream takes 'nowhere.x': `nats stream add NAME --subjects … --dupe-window 4d`, or `create: true`",
        id="no stream",
    ),
    pytest.param(
        "without",
        "shop.x",
        Unauthorized,
        "no JetStream (JetStream not enabled for account): enable it for the server and our account",
        id="no JetStream",
    ),
    pytest.param(
        "reader",
        "shop.x",
        Forbidden,
        "our user may not publish to 'shop.x': "
        'permissions: {publish: ["shop.x", "$JS.API.STREAM.>"], subscribe: ["_INBOX.>"]}',
        id="no right to publish",
    ),
    pytest.param(
        "deaf",
        "shop.x",
        Forbidden,
        "our user may not publish to 'shop.x': "
        'permissions: {publish: ["shop.x", "$JS.API.STREAM.>"], subscribe: ["_INBOX.>"]}',
        id="no right to hear",
    ),
]


class TestTrouble:
    @pytest.mark.parametrize(("user", "subject", "kind", "line"), MISTAKES)
    async def test_every_mistake_has_its_verdict_and_one_line_with_its_cure(
        self, far_side: FarStreams, tmp_path: Path, user: str, subject: str, kind: type[WorkError], line: str
    ) -> None:
        async with as_user(user, far_side, tmp_path) as sink:
            with pytest.raises(WorkError) as raised:
                await send(sink, shipment(Target(subject=subject)), batches(*THREE))
        error = raised.value
        assert (type(error), error.reason, error.detail) == (kind, Reason.TARGET_REFUSED, line)

    async def test_a_full_stream_is_worth_another_try(self, connect: Connect, far_side: FarStreams) -> None:
        far_side.fresh(max_msgs=2, discard="new")
        async with connect() as sink:
            with pytest.raises(Transient) as raised:
                await send(sink, shipment(SHOP), batches(*THREE))
            assert raised.value.detail == (
                "the stream SHOP is full (maximum messages exceeded): let its readers catch up, "
                "or `nats stream edit SHOP` with a higher limit or `--discard old`"
            )
            far_side.does(lambda js: js.update_stream(name="SHOP", subjects=["shop.>"], max_msgs=100))
            await send(sink, shipment(SHOP), batches(*THREE))
        assert far_side.items("r1") == ALL

    async def test_one_without_a_right_disturbs_nobody_on_the_same_connection(
        self, far_side: FarStreams, tmp_path: Path
    ) -> None:
        async with as_user("blind", far_side, tmp_path) as sink:
            outcomes = await asyncio.gather(
                send(sink, shipment(Target(subject="other.x")), batches(*THREE)),
                send(sink, shipment(SHOP), batches(*THREE)),
                return_exceptions=True,
            )
        assert isinstance(outcomes[0], Forbidden)
        assert far_side.items("r1") == ALL

    async def test_a_connected_sink_goes_on_after_its_server_came_back(self, tmp_path: Path) -> None:
        with embedded_nats() as server:
            side = FarStreams(server.port)
            side.fresh()
            first, second, third = batches(*THREE)
            async with opened(side.url, tmp_path) as sink, sink.open(shipment(SHOP), None) as writer:
                await writer.items(first)
                server.kill()
                with pytest.raises(Transient):
                    await writer.items(second)
                server.start()
                for batch in (first, second, third):
                    await writer.items(batch)
            assert side.items("r1") == ALL

    async def test_who_waits_for_an_answer_hears_at_once_that_the_server_is_gone(self, tmp_path: Path) -> None:
        """Somebody listens to the subject, but it is no stream: no answer will come."""
        with embedded_nats() as server:
            side = FarStreams(server.port)
            listener = await client.connect(side.url, allow_reconnect=False, error_cb=_ignore)
            heard = await listener.subscribe("quiet.x")
            await listener.flush()
            options = Target(subject="quiet.{{ item.to }}")
            async with opened(side.url, tmp_path) as sink:
                sending = asyncio.create_task(send(sink, shipment(options), batches([b'{"to":"x"}'])))
                assert (await heard.next_msg(5)).data == b'{"to":"x"}'
                server.kill()
                done, _ = await asyncio.wait([sending], timeout=10)
            assert done == {sending}
            assert isinstance(sending.exception(), Transient)
            await listener.close()

    @pytest.mark.parametrize(
        ("refusal", "kind"),
        [
            (Refusal(503, 10047, "insufficient storage resources available"), Transient),
            (Refusal(503, 10008, "JetStream system temporarily unavailable"), Transient),
            (Refusal(400, 10109, "invalid operation on sealed stream"), Permanent),
            (Refusal(503, 10039, "JetStream not enabled for account"), Unauthorized),
        ],
    )
    def test_other_refusals(self, refusal: Refusal, kind: type[WorkError]) -> None:
        error = refused(refusal, "shop.x", "SHOP")
        assert (type(error), refusal.description in error.detail) == (kind, True)

    def test_a_server_that_takes_too_long(self) -> None:
        error = verdict(TimeoutError(), "shop.x", "bus:4222")
        line = "no answer of bus:4222: it took too long: is it up? If so, mend `url`"
        assert (type(error), error.detail) == (Transient, line)

    def test_a_server_without_jetstream(self) -> None:
        error = verdict(NoResponders("$JS.API.STREAM.NAMES"), "shop.x", "bus:4222")
        line = "no JetStream (it does not answer): enable it for the server and our account"
        assert (type(error), error.detail) == (Unauthorized, line)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://example.com"},
        {"url": "nats://user:secret@example.com"},
        {"url": "nats://token@example.com"},
        {"url": "nats://example.com", "user": "relay"},
        {"url": "nats://example.com", "user": "relay", "password": "x", "token": "y"},
    ],
)
def test_mistakes_of_the_file(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        nats.Config.model_validate(options)


@pytest.mark.parametrize(
    "options",
    [{"subject": "a.{{ item.x }}", "per": "batch"}, {"subject": "a.{{ run.id }}", "create": True}],
)
def test_mistakes_of_a_target(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(options)

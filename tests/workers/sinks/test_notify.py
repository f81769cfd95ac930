"""The notify sink: what is said, to whom, and what its troubles are called."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from apprise.plugins.slack import NotifySlack
from pydantic import ValidationError

from config.contracts.alert import Alert, Matter
from config.contracts.errors import NotYet, Permanent, Transient, Unauthorized, WorkError
from config.contracts.reasons import Reason
from config.contracts.sink import Shipment, Surroundings, Taken
from config.units import PerTime
from tests.workers.sinks.told import MailServer, Phone, mail_server, parts, phone
from workers.sinks import notify
from workers.testing.contract import Connect, FarSide, SinkContract
from workers.testing.servers import SECRET, ServerContract, silent_server
from workers.testing.shipments import around, document, shipment

RUN: dict[str, Any] = {
    "id": "r1",
    "status": "FAILED",
    "statusMessage": "out of memory",
    "stats": {"runTimeSecs": 192.4},
    "usageTotalUsd": 0.1234,
    "console_url": "https://console.apify.com/view/runs/r1",
}
DISCORD = "https://discord.com/api/webhooks/417429632418316298/JHZ7lQml277CDHmQKMHI8qBe7bk2ZwO5UKjCiOAF7711o33MyqU"
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture
async def far_side() -> AsyncIterator[Phone]:
    async with phone() as side:
        yield side


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    async with mail_server() as side:
        yield side


def opener(folder: Path, url: str | list[str], lent: Surroundings | None = None, **options: Any) -> Connect:
    told = {"urls": url} if isinstance(url, list) else {"url": url}
    config = notify.Config.model_validate({**told, **options})
    return lambda: notify.connect(config, lent or around(folder))


@pytest.fixture
def connect(far_side: Phone, tmp_path: Path) -> Connect:
    return opener(tmp_path, far_side.url)


def target(**options: Any) -> notify.Target:
    return notify.Target.model_validate(options)


def run_shipment(
    options: notify.Target, stream: str = "run", id: str = "r1", *, actor: str = "acme/shop", **fields: Any
) -> Shipment:
    """A failed run; `fields` of it are others than usual."""
    run = {**RUN, "id": id, "console_url": f"https://console.apify.com/view/runs/{id}", **fields}
    made = shipment(options, run=id, stream=stream)
    return replace(made, scope={"run": run, "actor": {"id": "a", "name": actor}})


def alert_shipment(options: notify.Target, alert: Alert) -> Shipment:
    return replace(shipment(options, run="", stream="alert"), scope={"alert": msgspec.to_builtins(alert)})


async def tell(connect: Connect, shipped: Shipment, *chunks: bytes) -> Taken:
    async with connect() as sink, sink.open(shipped, None) as writer:
        taken = await writer.document(document("run.json", "application/json", *(chunks or (b"{}",))))
        await writer.publish()
    return taken


class TestNotify(SinkContract, ServerContract):
    module = notify
    options = target(text="run {{ run.id }} ended")

    # It takes no items.
    test_takes_every_item_in_order = None  # type: ignore[assignment] # taken out of the contract
    test_counts_what_arrived_and_not_what_it_was_told = None  # type: ignore[assignment] # the same
    test_a_second_try_from_the_start_does_not_double = None  # type: ignore[assignment] # the same
    test_goes_on_at_a_position_in_another_instance = None  # type: ignore[assignment] # the same
    test_what_was_written_after_the_last_checkpoint_is_not_there_twice = None  # type: ignore[assignment] # the same
    test_goes_on_after_every_batch = None  # type: ignore[assignment] # the same
    test_publishing_again_after_a_crash_changes_nothing = None  # type: ignore[assignment] # the same
    test_odd_values_arrive_byte_for_byte = None  # type: ignore[assignment] # the same
    test_takes_an_item_of_nine_megabytes = None  # type: ignore[assignment] # the same
    test_serves_several_deliveries_at_once = None  # type: ignore[assignment] # the same

    async def test_takes_documents_as_they_are(self, connect: Connect, far_side: FarSide) -> None:
        """One message for the one document."""
        taken = await tell(connect, run_shipment(self.options))
        assert far_side.documents("r1") == [b"run r1 ended"]
        assert (taken.rows, taken.out) == (1, 1)

    async def test_documents_sent_again_are_there_once(self, connect: Connect, far_side: FarSide) -> None:
        """See the storms: without a ledger nothing is remembered."""

    @pytest.fixture
    def down(self, tmp_path: Path, unused_tcp_port: int) -> Connect:
        return opener(tmp_path, f"json://user:{SECRET}@127.0.0.1:{unused_tcp_port}")

    @pytest.fixture
    def refused(self, tmp_path: Path, far_side: Phone) -> Connect:
        far_side.answers = [401]
        return opener(tmp_path, f"json://user:{SECRET}@127.0.0.1:{far_side.port}")

    @pytest.fixture
    async def silent(self, tmp_path: Path) -> AsyncIterator[Connect]:
        async with silent_server() as port:
            yield opener(tmp_path, f"json://user:{SECRET}@127.0.0.1:{port}", timeout="500ms")

    async def trouble(self, connect: Connect) -> WorkError:
        with pytest.raises(WorkError) as raised:
            await tell(connect, run_shipment(self.options))
        assert raised.value.detail
        assert "\n" not in raised.value.detail
        assert SECRET not in str(raised.value)
        return raised.value


# what is said


async def test_a_run_is_told_without_anything_written(tmp_path: Path, far_side: Phone) -> None:
    await tell(opener(tmp_path, far_side.url), run_shipment(target(), "log"), b"line 1\nline ", b"2 <b>\n")
    assert [(one["title"], one["message"]) for one in far_side.told] == [
        (
            "acme/shop FAILED",
            "acme/shop FAILED after 3m 12s, $0.12\nout of memory\nhttps://console.apify.com/view/runs/r1\n"
            "line 1\nline 2 <b>",
        )
    ]
    assert len(far_side.headers[0]["X-Runrelay-Message"]) == 64


async def test_what_a_run_does_not_have_is_left_out(tmp_path: Path, far_side: Phone) -> None:
    bare: dict[str, Any] = {"statusMessage": None, "stats": None, "usageTotalUsd": None, "status": "ABORTED"}
    await tell(opener(tmp_path, far_side.url), run_shipment(target(), actor="", **bare))
    assert far_side.messages == ["r1 ABORTED\nhttps://console.apify.com/view/runs/r1"]


async def test_the_targets_words_come_before_the_sinks(tmp_path: Path, far_side: Phone) -> None:
    connect = opener(tmp_path, far_side.url, text="sink {{ run.id }}", title="T {{ run.status }}")
    await tell(connect, run_shipment(target()))
    await tell(connect, run_shipment(target(text="target {{ run.id }}", title="U")))
    assert [(one["title"], one["message"]) for one in far_side.told] == [("T FAILED", "sink r1"), ("U", "target r1")]


async def test_a_text_that_prints_nothing_is_no_message(tmp_path: Path, far_side: Phone) -> None:
    with pytest.raises(Permanent) as raised:
        await tell(opener(tmp_path, far_side.url), run_shipment(target(text="{{ run.nothing }}")))
    assert str(raised.value) == "template_failed: `text` prints nothing for this run"
    assert far_side.tried == 0


async def test_the_end_of_a_long_log_is_what_is_told(tmp_path: Path, far_side: Phone) -> None:
    log = b"".join(b"line %05d\n" % number for number in range(30_000))
    await tell(opener(tmp_path, far_side.url), run_shipment(target(text="{{ log_tail }}"), "log"), log)
    (message,) = far_side.messages
    assert message.startswith("(")
    assert "earlier characters) …\nline 2" in message
    assert message.endswith("\nline 29999")
    assert 3900 < len(message) < 4050


async def test_an_alert_is_told_as_it_is_worded(tmp_path: Path, far_side: Phone) -> None:
    text = "Runrelay: 1 pause\n- target products/crm refuses our credentials\nWhat to do: runrelay status"
    about = (Matter(subject="x"),)
    alert = Alert(id="a" * 64, kind="paused", at="2026-01-01T00:00:00Z", text=text, count=1, about=about)
    connect = opener(tmp_path, far_side.url, text="{{ actor.name }} of runs only", collect={"for": "5m"})
    await tell(connect, alert_shipment(target(), alert))
    await tell(connect, alert_shipment(target(text="{{ alert.kind }}: {{ alert.count }}"), alert))
    assert [(one["title"], one["message"]) for one in far_side.told] == [
        ("Runrelay: 1 pause", text),
        ("Runrelay: 1 pause", "paused: 1"),
    ]


async def test_mail_has_a_subject_and_two_forms(tmp_path: Path, mails: MailServer) -> None:
    url = f"mailto://me:pw@127.0.0.1:{mails.port}?from=me@example.com&to=ops@example.com&mode=insecure"
    text = "<b>{{ actor.name }}</b>\nsecond {{ run.statusMessage }}\n{{ log_tail | code }}"
    shipped = run_shipment(target(text=text), "log", statusMessage="<i>5 < 6</i>")
    await tell(opener(tmp_path, url), shipped, b"a <b>\n  c")
    (mail,) = mails.mails
    assert (mail["Subject"], mail["To"]) == ("acme/shop FAILED", "ops@example.com")
    assert mail["X-Runrelay-Message"] == shipped.delivery.id
    html = parts(mail)["text/html"].replace("\r\n", "\n")
    assert html == ("<b>acme/shop</b><br />\nsecond &lt;i&gt;5 &lt; 6&lt;/i&gt;<br />\n<pre>a &lt;b&gt;\n  c</pre>")
    assert "acme/shop" in parts(mail)["text/plain"]


async def test_several_are_told_and_only_those_again_that_were_not_reached(tmp_path: Path, far_side: Phone) -> None:
    async with phone() as other:
        other.answers = [500]
        with pytest.raises(Transient):
            await tell(opener(tmp_path, [far_side.url, other.url]), run_shipment(target()))
        assert (len(far_side.told), len(other.told)) == (1, 0)


# pace


async def test_each_message_waits_for_the_pace_of_the_sink(tmp_path: Path, far_side: Phone) -> None:
    asked: list[tuple[str, PerTime]] = []

    async def pace(sink: str, rate: PerTime) -> None:
        asked.append((sink, rate))
        if len(asked) > 1:
            raise NotYet(Reason.PACED, "later", wait=9)

    lent = Surroundings(tmp_path, around(tmp_path).source, pace=pace)
    connect = opener(tmp_path, far_side.url, lent, rate="1/m")
    await tell(connect, run_shipment(target()))
    with pytest.raises(NotYet):
        await tell(connect, run_shipment(target(), id="r2"))
    assert asked == [("out", PerTime(1, 60.0))] * 2
    assert len(far_side.told) == 1


# troubles


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        (401, Unauthorized, "token_refused: JSON answered HTTP 401: its webhook or token is wrong or was withdrawn: "),
        (403, Unauthorized, "token_refused: JSON answered HTTP 403: its webhook or token is wrong or was withdrawn: "),
        (404, Unauthorized, "token_refused: JSON answered HTTP 404: its webhook or token is wrong or was withdrawn: "),
        (410, Unauthorized, "token_refused: JSON answered HTTP 410: its webhook or token is wrong or was withdrawn: "),
        (302, Unauthorized, "target_refused: JSON answered HTTP 302: redirects are not followed, mend `url`"),
        (400, Permanent, "item_refused: JSON answered HTTP 400: it does not take this message; shorten `text` or "),
        (413, Permanent, "item_refused: JSON answered HTTP 413: it does not take this message; shorten `text` or "),
        (429, Transient, "target_unavailable: JSON answered HTTP 429"),
        (500, Transient, "target_unavailable: JSON answered HTTP 500"),
        (504, Transient, "target_unavailable: JSON answered HTTP 504"),
    ],
)
async def test_each_answer_has_its_verdict(
    tmp_path: Path, far_side: Phone, status: int, verdict: type[WorkError], said: str
) -> None:
    far_side.answers = [status]
    with pytest.raises(WorkError) as raised:
        await tell(opener(tmp_path, f"json://u:{SECRET}@127.0.0.1:{far_side.port}/path"), run_shipment(target()))
    assert isinstance(raised.value, verdict)
    assert str(raised.value).startswith(said)
    assert SECRET not in str(raised.value)
    assert far_side.tried == 1


@pytest.mark.parametrize(
    ("command", "answer", "verdict", "said"),
    [
        ("AUTH", "535 no", Unauthorized, "token_refused: E-Mail: the mail server answered 535: user or password"),
        ("RCPT", "550 no", Unauthorized, "target_refused: E-Mail: the mail server answered 550: it refuses the sender"),
        ("RCPT", "451 later", Transient, "target_unavailable: E-Mail: the mail server answered 451"),
        ("DATA", "554 spam", Permanent, "item_refused: E-Mail: the mail server answered 554: it does not take this"),
    ],
)
async def test_each_reply_of_a_mail_server_has_its_verdict(
    tmp_path: Path, mails: MailServer, command: str, answer: str, verdict: type[WorkError], said: str
) -> None:
    mails.refuse = {command: answer}
    url = f"mailto://me:{SECRET}@127.0.0.1:{mails.port}?from=me@example.com&to=ops@example.com&mode=insecure"
    with pytest.raises(WorkError) as raised:
        await tell(opener(tmp_path, url), run_shipment(target()))
    assert isinstance(raised.value, verdict)
    assert str(raised.value).startswith(said)
    assert SECRET not in str(raised.value)


async def test_what_apprise_logs_of_an_address_goes_nowhere(tmp_path: Path, far_side: Phone) -> None:
    heard: list[str] = []
    listener, root = logging.Handler(), logging.getLogger()
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign] # a short one
    root.addHandler(listener)
    try:
        await tell(opener(tmp_path, f"json://u:{SECRET}@127.0.0.1:{far_side.port}"), run_shipment(target()))
    finally:
        root.removeHandler(listener)
    assert [line for line in heard if SECRET in line or "JSON" in line] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "say who is told: either `url` or `urls`"),
        ({"url": SLACK, "urls": [SLACK]}, "say who is told: either `url` or `urls`"),
        ({"url": f"slak://{SECRET}"}, "apprise cannot use this slak:// address: see https://appriseit.com/services/"),
        ({"url": f"mailto://{SECRET}@"}, "apprise cannot use this mailto:// address: see "),
        ({"url": SECRET}, "apprise cannot use this text without a scheme address: see "),
        ({"url": "json://169.254.169.254/"}, "link-local and metadata addresses are never written to"),
        ({"url": SLACK, "text": "{{ runn.id }}"}, "unknown name `runn`: did you mean `run`?"),
        ({"url": SLACK, "collect": {"for": "0s"}}, "Input should be greater than 0"),
    ],
)
def test_a_mistake_in_the_file_is_told_without_the_url(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        notify.Config.model_validate(given)
    (error,) = raised.value.errors()
    assert said in error["msg"]
    assert SECRET not in error["msg"]


async def test_a_server_can_be_tried_before_anything_is_said(
    tmp_path: Path, mails: MailServer, unused_tcp_port: int
) -> None:
    here, there = (
        f"mailto://me:pw@127.0.0.1:{port}?from=a@b.de&to=a@b.de&mode=insecure" for port in (mails.port, unused_tcp_port)
    )
    async with opener(tmp_path, [here, SLACK])() as sink:
        await sink.check(target())  # type: ignore[attr-defined] # it has it
    async with opener(tmp_path, there)() as sink:
        with pytest.raises(Transient) as raised:
            await sink.check(target())  # type: ignore[attr-defined] # it has it
    assert raised.value.detail.startswith(f"E-Mail cannot be reached at port {unused_tcp_port} of its host")
    assert mails.mails == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            '{"ok": false, "error": "invalid_auth"}',
            "token_refused: Slack answered HTTP 200: its webhook or token is wrong",
        ),
        (
            '{"ok": false, "error": "ratelimited"}',
            "target_unavailable: Slack answered HTTP 200, and that it did not take",
        ),
    ],
)
async def test_a_refusal_that_looks_like_success_is_heard(
    tmp_path: Path, far_side: Phone, monkeypatch: pytest.MonkeyPatch, answer: str, said: str
) -> None:
    monkeypatch.setattr(NotifySlack, "api_url", f"http://127.0.0.1:{far_side.port}/{{}}")
    far_side.says = answer
    with pytest.raises(WorkError) as raised:
        await tell(opener(tmp_path, "slack://xoxb-1234-1234-abc123/#general"), run_shipment(target()))
    assert str(raised.value).startswith(said)


async def test_what_a_message_says_is_not_taken_for_an_answer(
    tmp_path: Path, far_side: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{far_side.port}")
    far_side.answers = [500]
    said = 'error=404. {"error": "invalid_auth"} (535, Connection refused'
    with pytest.raises(WorkError) as raised:
        await tell(opener(tmp_path, SLACK), run_shipment(target(text="{{ run.statusMessage }}"), statusMessage=said))
    assert str(raised.value) == "target_unavailable: Slack answered HTTP 500"

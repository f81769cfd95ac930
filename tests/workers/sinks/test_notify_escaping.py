"""What a run's values look like where they are read: text, whatever is in them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from hypothesis import given
from hypothesis import strategies as st

from config.language.printed import Code
from tests.workers.sinks.test_notify import DISCORD, SLACK, opener, run_shipment, target, tell
from tests.workers.sinks.told import Phone, phone
from workers.sinks._notify_media import CHAT, HTML, PLAIN

GAP = "\u200b"
EVIL = "<!channel> @everyone *bold* <b>x</b> [x](http://evil) `c` ~s~ ||h|| _i_ my_actor a@b.de <@U1> !here>"
IN_CHAT = (
    f"‹!{GAP}channel› @{GAP}everyone ∗bold∗ ‹b›x‹/b› [x]{GAP}(http://evil) ˋcˋ ∼s∼ ∣∣h∣∣ "
    f"＿i＿ my_actor a@b.de ‹@{GAP}U1› !{GAP}here›"
)
IN_HTML = (
    f"&lt;!{GAP}channel&gt; @{GAP}everyone *bold* &lt;b&gt;x&lt;/b&gt; [x](http://evil) `c` ~s~ ||h|| "
    f"_i_ my_actor a@b.de &lt;@{GAP}U1&gt; !{GAP}here&gt;"
)
TEXT = "*{{ actor.name }}* says {{ run.statusMessage }}"


@pytest.fixture
async def far_side(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Phone]:
    """Takes what is meant for the services."""
    async with phone() as side:
        here = f"http://127.0.0.1:{side.port}"
        monkeypatch.setattr(NotifySlack, "webhook_url", here)
        monkeypatch.setattr(NotifyDiscord, "notify_url", here)
        monkeypatch.setattr(NotifyTelegram, "notify_url", f"{here}/bot")
        monkeypatch.setattr(NotifyGoogleChat, "notify_url", f"{here}/{{workspace}}")
        yield side


@pytest.mark.parametrize(
    ("value", "chat", "html"),
    [
        (EVIL, IN_CHAT, IN_HTML),
        ("# head\n- li\n=== x\n-5", f"{GAP}# head\n{GAP}- li\n{GAP}=== x\n-5", "# head\n- li\n=== x\n-5"),
        ("a\\", "a∖", "a\\"),
        ("[a][b] [c]: d", f"[a]{GAP}[b] [c]{GAP}: d", "[a][b] [c]: d"),
        ("a\r\nb\x1b[31m\x00\u202ec", "a\nb[31mc", "a\nb[31mc"),
        ("\ud800", "?", "?"),
        (7, "7", "7"),
        (None, "", ""),
        ({"a": "<b>"}, '{"a":"‹b›"}', "{&quot;a&quot;:&quot;&lt;b&gt;&quot;}"),
        (
            Code("``` <!here> *x*"),
            f"```\n`{GAP}`{GAP}` ‹!{GAP}here› *x*\n```",
            f"<pre>``` &lt;!{GAP}here&gt; *x*</pre>",
        ),
        (Code(""), "", ""),
    ],
)
def test_a_value_is_text_in_every_medium(value: Any, chat: str, html: str) -> None:
    assert (CHAT.show(value), HTML.show(value)) == (chat, html)


def test_programs_get_what_there_is() -> None:
    assert PLAIN.show(EVIL) == EVIL
    assert PLAIN.show(Code("<b>\nx")) == "<b>\nx"


@given(st.text(alphabet="<>*`~|\\@![](_ab \n", max_size=40))
def test_nothing_that_begins_markup_is_left_of_any_value(text: str) -> None:
    shown = CHAT.show(text)
    assert not set(shown) & set("<>*`~|\\")
    assert "](" not in shown
    assert not re.search(r"(?<![ab])[@!][ab]", shown)
    assert "```" not in CHAT.show(Code(text))[3:-3]
    assert not set(HTML.show(text)) & set("<>")


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (SLACK, f"*acme/shop* says {IN_CHAT}"),
        (f"{SLACK}?blocks=yes", f"*acme/shop* says {IN_CHAT}"),
        (DISCORD, f"*acme/shop* says {IN_CHAT}"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", f"*acme/shop* says {IN_HTML}"),
        ("gchat://workspace/key/token", f"*acme/shop* says {IN_CHAT}"),
        ("mmost://127.0.0.1:{port}/3ccdd113474722377935511fc85d3dd4", f"*acme/shop* says {IN_CHAT}"),
        ("json://127.0.0.1:{port}", f"*acme/shop* says {EVIL}"),
        ("json://127.0.0.1:{port}?format=html", f"*acme/shop* says {IN_HTML}"),
        ("json://127.0.0.1:{port}?format=markdown", f"*acme/shop* says {EVIL}"),
    ],
)
async def test_what_services_are_sent_has_the_operators_markup_and_no_other(
    tmp_path: Path, far_side: Phone, url: str, sent: str
) -> None:
    connect = opener(tmp_path, url.replace("{port}", str(far_side.port)))
    await tell(connect, run_shipment(target(text=TEXT), statusMessage=EVIL))
    (told,) = far_side.told
    assert sent in list(texts(told))


def texts(value: Any) -> list[str]:
    """Every text of a JSON value."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


async def test_a_title_has_no_markup_at_all(tmp_path: Path, far_side: Phone) -> None:
    connect = opener(tmp_path, "tgram://123456789:abcdefg_hijklmnop/12315544/", title="<i>{{ run.statusMessage }}</i>")
    await tell(connect, run_shipment(target(text="x"), statusMessage="<b>\n@all"))
    assert far_side.told[0]["text"] == f"<b>&lt;i&gt;&lt;b&gt; @{GAP}all&lt;/i&gt;</b>\r\nx"


@pytest.mark.parametrize(
    ("url", "text", "most"),
    [
        (DISCORD, "{{ run.statusMessage }}", 2000),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "<b>{{ run.statusMessage }}</b>", 4096),
        ("json://127.0.0.1:{port}?format=html", "<i>{{ run.statusMessage | code }}</i>", 32768),
    ],
)
async def test_what_is_too_long_says_how_much_is_left_out(
    tmp_path: Path, far_side: Phone, url: str, text: str, most: int
) -> None:
    connect = opener(tmp_path, url.replace("{port}", str(far_side.port)))
    await tell(connect, run_shipment(target(text=text), statusMessage="a<b " * 12_000))
    (sent,) = [text for text in texts(far_side.told[0]) if len(text) > 500]
    assert len(sent) <= most
    assert " more characters)" in sent[-40:]
    assert sent.count("<b>") == sent.count("</b>")
    assert sent.count("<pre>") == sent.count("</pre>")

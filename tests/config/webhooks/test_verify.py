"""Who may come in: secrets and addresses, as every source checks them."""

import hmac

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.contracts.errors import Refused
from config.contracts.kinds import Kind
from config.webhooks.verify import Addresses, StaticSecrets

NEW, OLD = "the-new-secret", "the-old-secret"


def refusal(secrets: StaticSecrets, presented: str | None) -> Kind:
    with pytest.raises(Refused) as caught:
        secrets.check(presented)
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}
    assert NEW not in caught.value.message
    assert OLD not in caught.value.message
    return caught.value.kind


@pytest.mark.parametrize("presented", [NEW, OLD])
def test_any_active_secret_opens_the_door(presented: str) -> None:
    StaticSecrets([NEW, OLD]).check(presented)


@pytest.mark.parametrize("presented", ["wrong", NEW + " ", NEW[:-1], NEW.upper(), "\x00", "é"])
def test_a_wrong_secret_does_not(presented: str) -> None:
    assert refusal(StaticSecrets([NEW, OLD]), presented) is Kind.TOKEN_INVALID


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_secret_fits_in_whichever_encoding_a_header_has_it(encoding: str) -> None:
    secret = "pässwörd"
    StaticSecrets([secret]).check(secret.encode(encoding).decode("latin-1"))
    assert refusal(StaticSecrets([secret]), "p\u00e4sswrd") is Kind.TOKEN_INVALID


@pytest.mark.parametrize("secret", ["pässwörd", "合言葉", "pass–word"])
def test_a_secret_fits_as_a_path_has_it_and_in_utf8(secret: str) -> None:
    StaticSecrets([secret]).check(secret)
    StaticSecrets([secret]).check(secret.encode().decode("latin-1"))


@pytest.mark.parametrize("presented", [None, ""])
def test_no_secret_is_told_apart_from_a_wrong_one(presented: str | None) -> None:
    assert refusal(StaticSecrets([NEW]), presented) is Kind.TOKEN_MISSING


def test_empty_secrets_are_ignored() -> None:
    secrets = StaticSecrets(["", NEW, ""])
    secrets.check(NEW)
    assert refusal(secrets, "") is Kind.TOKEN_MISSING


def test_without_any_secret_the_door_stays_shut() -> None:
    assert refusal(StaticSecrets([]), "anything") is Kind.TOKEN_INVALID
    assert refusal(StaticSecrets([""]), "anything") is Kind.TOKEN_INVALID


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
@example("\ud800")
@example("\udcff")
def test_no_text_at_all_can_do_more_than_be_refused(presented: str) -> None:
    with pytest.raises(Refused):
        StaticSecrets([NEW]).check(presented)


@pytest.mark.parametrize("presented", [NEW, OLD, "wrong"])
def test_every_secret_is_compared_whichever_fits(presented: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr("config.webhooks.verify.hmac.compare_digest", compare)
    try:
        StaticSecrets([NEW, "", OLD, "a third one of another length"]).check(presented)
    except Refused:
        assert presented == "wrong"
    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize("address", [None, "", "unix:", "192.0.2.1", "2001:db8::1"])
def test_without_a_list_anybody_may_come(address: str | None) -> None:
    Addresses([]).check(address)


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("192.0.2.0/24", "192.0.2.255"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::/32", "2001:db8:1::1"),
        ("192.0.2.0/24", "::ffff:192.0.2.9"),
        ("::ffff:192.0.2.0/120", "192.0.2.9"),
        ("::ffff:192.0.2.0/120", "::ffff:192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("0.0.0.0/0", "::ffff:198.51.100.1"),
    ],
)
def test_an_address_on_the_list_may_come(network: str, address: str) -> None:
    Addresses(["203.0.113.1", network]).check(address)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "localhost",
        "192.0.2.256",
        "192.0.3.1",
        "::ffff:192.0.3.1",
        "::192.0.2.1",
        "64:ff9b::192.0.2.1",
        "2001:db9::1",
        "192.0.2.1 ",
        "192.0.2.1, 10.0.0.1",
    ],
)
def test_any_other_address_is_refused(address: str | None) -> None:
    with pytest.raises(Refused) as caught:
        Addresses(["192.0.2.0/24", "2001:db8::/32"]).check(address)
    assert caught.value.kind is Kind.ADDRESS_FORBIDDEN


def test_all_of_ipv6_does_not_mean_all_of_ipv4() -> None:
    with pytest.raises(Refused):
        Addresses(["::/0"]).check("::ffff:192.0.2.1")

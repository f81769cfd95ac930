"""The environment: what is read, how mistakes are told, and that the reference page says the same."""

import pytest

from config.contracts.errors import ConfigInvalid
from config.settings import load_settings
from scripts.reference import ENVIRONMENT, environment


def test_the_reference_page_is_what_the_model_says() -> None:
    assert ENVIRONMENT.read_text() == environment(), "run: python scripts/reference.py"


def test_variables_are_read_and_given_values_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("RUNRELAY_NAMESPACE", "north")
    settings = load_settings(namespace="south", config=None)
    assert (settings.redis_url, settings.namespace) == ("redis://127.0.0.1:1/0", "south")


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNRELAY_MAX_JOBS", "many")
    monkeypatch.setenv("RUNRELAY_DURABILITY", "maybe")
    with pytest.raises(ConfigInvalid) as caught:
        load_settings()
    assert [problem.path for problem in caught.value.problems] == ["RUNRELAY_DURABILITY", "RUNRELAY_MAX_JOBS"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", ()),
        ("10.0.0.1", ("10.0.0.1", "::ffff:10.0.0.1/128")),
        (" 10.0.0.0/8 , ::1,", ("10.0.0.0/8", "::ffff:10.0.0.0/104", "::1")),
    ],
)
def test_proxies_are_a_list_with_commas(written: str, meant: tuple[str, ...]) -> None:
    assert load_settings(proxies=written).trusted_proxies == meant


@pytest.mark.parametrize("written", ["*", "10.0.0.1/8", "proxy.example.com", "10.0.0.1;10.0.0.2", "10.0.0.1:80"])
def test_a_proxy_that_is_no_network_is_told_before_anything_starts(written: str) -> None:
    with pytest.raises(ConfigInvalid, match="RUNRELAY_PROXIES"):
        load_settings(proxies=f"10.0.0.1, {written}")


def test_a_slice_must_end_before_arq_ends_the_job() -> None:
    with pytest.raises(ConfigInvalid, match="RUNRELAY_SLICE_SECONDS must be less than RUNRELAY_JOB_TIMEOUT"):
        load_settings(job_timeout=20)


@pytest.mark.parametrize("url", ["foo://x", "127.0.0.1:6379", ""])
def test_a_queue_address_of_no_known_kind_is_told_before_anything_starts(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="REDIS_URL"):
        load_settings(redis_url=url)


@pytest.mark.parametrize("url", ["hooks.example.com", "ftp://hooks.example.com", "https://", "https:///x"])
def test_a_public_address_that_no_webhook_can_have_is_told_before_anything_starts(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="RUNRELAY_PUBLIC_URL"):
        load_settings(public_url=url)

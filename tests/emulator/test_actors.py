"""What is known about Actors, their builds and versions, about accounts, and about what is not emulated."""

from pathlib import Path
from typing import Any

import pytest
from apify_client.errors import ApifyApiError

from tests.emulator.clients import KINDS, client_of
from tests.emulator.conftest import Emulator, StartEmulator
from tests.emulator.scripted import write_script

SCHEMA = {"required": ["url"], "properties": {"url": {"type": "string"}, "depth": {"type": "integer", "default": 3}}}


@pytest.fixture
async def platform(start_emulator: StartEmulator, actors: Path) -> Emulator:
    write_script(actors, "pages", {"input": SCHEMA, "title": "Pages", "version": "1.2", "buildTag": "beta"})
    write_script(actors, "quick")
    return await start_emulator(strangers={"s": "stranger"})


@pytest.fixture(params=KINDS)
def client(platform: Emulator, request: pytest.FixtureRequest) -> Any:
    return client_of(request.param, platform.url)


async def test_actors_are_listed_and_read(client: Any) -> None:
    listed = await client.actors().list(my=True)
    actor = await client.actor("local/pages").get()
    await client.actor("local/pages").start(run_input={"url": "u"}, wait_for_finish=60)

    assert [(item.name, item.username) for item in listed.items] == [("pages", "local"), ("quick", "local")]
    assert (actor.title, actor.stats.total_runs, actor.default_run_options.build) == ("Pages", 0, "beta")
    assert [(version.version_number, version.build_tag) for version in actor.versions] == [("1.2", "beta")]
    assert (await client.actor(actor.id).get()).stats.total_runs == 1
    assert await client.actor("local/nobody").get() is None


async def test_builds_are_listed_read_waited_for_and_have_a_log(client: Any) -> None:
    actor = client.actor("local/pages")
    [short] = (await actor.builds().list()).items
    build = client.build(short.id)

    default = await actor.default_build(wait_for_finish=5)
    assert short.id in [item.id for item in (await client.builds().list(limit=10, desc=True)).items]
    assert (await default.get()).id == short.id
    assert ((await build.get()).status, (await build.get()).build_number) == ("SUCCEEDED", "1.2.1")
    assert (await build.wait_for_finish()).status == "SUCCEEDED"
    assert (await build.abort()).status == "SUCCEEDED"
    assert "nothing was built" in await build.log().get()
    assert "nothing was built" in await client.log(short.id).get()
    assert await client.build("nobody").get() is None


async def test_versions_are_listed_and_read(client: Any) -> None:
    actor = client.actor("local/pages")

    assert [version.version_number for version in (await actor.versions().list()).items] == ["1.2"]
    assert (await actor.version("1.2").get()).build_tag == "beta"
    assert await actor.version("9.9").get() is None


async def test_an_input_is_checked_without_a_start(client: Any) -> None:
    actor = client.actor("local/pages")

    assert await actor.validate_input({"url": "u"}) is True
    assert await actor.validate_input({"url": "u"}, build="beta") is True
    with pytest.raises(ApifyApiError) as refused:
        await actor.validate_input({"depth": 1})

    assert (refused.value.status_code, refused.value.type) == (400, "invalid-input")
    assert (await actor.runs().list()).total == 0


async def test_accounts_their_limits_and_usage(client: Any) -> None:
    me = await client.user("me").get()
    other = await client.user("stranger").get()
    limits = await client.user("me").limits()
    usage = await client.user("me").monthly_usage()

    assert (me.username, me.proxy.password, me.proxy.groups) == ("local", "emulator", [])
    assert other.username == "stranger"
    assert limits.monthly_usage_cycle.start_at < limits.monthly_usage_cycle.end_at
    assert limits.current.active_actor_job_count == 0
    assert usage.total_usage_credits_usd_after_volume_discount == 0
    assert await client.user("nobody").get() is None


async def test_there_are_no_schedules(client: Any) -> None:
    assert (await client.schedules().list()).items == []
    assert await client.schedule("any").get() is None


async def test_what_is_not_emulated_says_so(platform: Emulator) -> None:
    answer = await platform.ask("DELETE", "/v2/actors/local~pages")

    assert answer.error == (501, "not-implemented")
    assert "DELETE /v2/actors/local~pages" in answer.json["error"]["message"]


async def test_builds_tell_no_costs_without_a_token(platform: Emulator) -> None:
    path = "/v2/actors/local~pages/builds/default"

    assert "usageTotalUsd" in (await platform.get(path)).data
    assert "usageTotalUsd" not in (await platform.get(path, token=None)).data
    build = (await platform.get(path)).data["id"]
    assert (await platform.get(f"/v2/actors/local~quick/builds/{build}")).error == (404, "record-not-found")
    assert (await platform.get(f"/v2/actors/local~pages/builds/{build}", token=None)).data["id"] == build


async def test_paths_that_nobody_knows_stay_unknown(platform: Emulator) -> None:
    assert (await platform.get("/v2/nothing")).error == (404, "page-not-found")
    assert (await platform.ask("PUT", "/v2/actor-runs", {})).error == (405, "method-not-allowed")

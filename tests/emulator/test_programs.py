"""What the emulator takes from an Actor's folder: its own definition, its start command, what overrides them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.commands import docker_command
from emulator.manifest import Manifest
from emulator.programs import load
from emulator.settings import EmulatorError
from tests.emulator.conftest import StartEmulator

VIEWS = {"actorSpecification": 1, "fields": {"properties": {"n": {"type": "integer"}}}, "views": {}}
SCHEMA = {"title": "In", "type": "object", "schemaVersion": 1, "properties": {}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "actor"


def write(home: Path, files: dict[str, Any]) -> Path:
    """An Actor's folder; what is not text becomes JSON."""
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return home


def definition(**more: Any) -> dict[str, Any]:
    return {"actorSpecification": 1, "name": "shop", "version": "1.2", **more}


def test_an_actor_s_own_definition_is_enough(home: Path) -> None:
    files = {
        ".actor/actor.json": definition(
            title="Shop",
            description="Sells.",
            buildTag="beta",
            environmentVariables={"COLOUR": "red"},
            input="./input.json",
            storages={
                "datasets": {"default": VIEWS, "reviews": "./reviews.json"},
                "keyValueStore": {"collections": {}},
            },
            defaultMemoryMbytes=256,
            minMemoryMbytes=128,
            maxMemoryMbytes=512,
            readme="../README.md",
        ),
        ".actor/input.json": SCHEMA,
        ".actor/reviews.json": {"views": {"all": {}}},
        ".actor/Dockerfile": 'FROM python\nCMD ["python3", "-m", "src"]\n',
    }

    program = load("local", write(home, files))

    assert program.manifest == Manifest(
        name="shop",
        title="Shop",
        description="Sells.",
        version="1.2",
        build_tag="beta",
        command=["{python}", "-m", "src"],
        input=SCHEMA,
        datasets={"default": VIEWS, "reviews": {"views": {"all": {}}}},
        store={"collections": {}},
        environment_variables={"COLOUR": "red"},
        memory_mbytes=256,
        min_memory_mbytes=128,
        max_memory_mbytes=512,
    )
    assert (program.build_number, program.build_tag, program.full_name) == ("1.2.1", "beta", "local~shop")
    assert program.command == [sys.executable, "-m", "src"]


def test_actor_yaml_overrides_single_fields(home: Path) -> None:
    files = {
        ".actor/actor.json": definition(title="Shop", defaultMemoryMbytes=256),
        "actor.yaml": "command: [node, x.js]\ntimeoutSecs: 5\ntitle: Mine\n",
    }

    manifest = load("local", write(home, files)).manifest

    assert manifest == Manifest(
        name="shop", title="Mine", version="1.2", command=["node", "x.js"], timeout_secs=5, memory_mbytes=256
    )


@pytest.mark.parametrize(
    ("more", "memory"),
    [
        ({"defaultMemoryMbytes": "get(input, 'size') * 1024"}, (1024, 128, 32768)),
        ({"maxMemoryMbytes": 512}, (512, 128, 512)),
        ({"minMemoryMbytes": 4096}, (4096, 4096, 32768)),
    ],
)
def test_memory_stays_within_the_actor_s_limits_and_expressions_are_left_aside(
    home: Path, more: dict[str, Any], memory: tuple[int, int, int]
) -> None:
    manifest = load("local", write(home, {".actor/actor.json": definition(**more), "main.py": ""})).manifest

    assert (manifest.memory_mbytes, manifest.min_memory_mbytes, manifest.max_memory_mbytes) == memory


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({"input": SCHEMA}, {}),
        ({"inputSchema": SCHEMA}, {}),
        ({"input": "schema.json"}, {".actor/schema.json": SCHEMA, "INPUT_SCHEMA.json": {}}),
        ({}, {".actor/INPUT_SCHEMA.json": SCHEMA, "INPUT_SCHEMA.json": {}}),
        ({}, {"INPUT_SCHEMA.json": SCHEMA}),
    ],
)
def test_the_input_schema_is_found_wherever_it_may_stand(
    home: Path, more: dict[str, Any], files: dict[str, Any]
) -> None:
    write(home, {".actor/actor.json": definition(**more), "main.py": "", **files})

    assert load("local", home).manifest.input == SCHEMA


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"Dockerfile": "FROM x\nCMD npm start --silent"}, ["/bin/sh", "-c", "npm start --silent"]),
        ({"Dockerfile": "CMD a", ".actor/Dockerfile": 'CMD ["b"]'}, ["b"]),
        ({"Dockerfile": "FROM x\nCOPY . .", "src/__main__.py": ""}, ["{python}", "-m", "src"]),
        ({"my_actor/__main__.py": ""}, ["{python}", "-m", "my_actor"]),
        ({"my_actor/__main__.py": "", "src/__main__.py": ""}, ["{python}", "-m", "src"]),
        ({"main.py": "", "package.json": {"scripts": {"start": "x"}}}, ["{python}", "main.py"]),
        ({"package.json": {"scripts": {"start": "node main.js"}}}, ["npm", "start", "--silent"]),
    ],
)
def test_the_start_command_is_found(home: Path, files: dict[str, Any], command: list[str]) -> None:
    assert load("local", write(home, {".actor/actor.json": definition(), **files})).manifest.command == command


def test_the_dockerfile_that_the_definition_names_is_read(home: Path) -> None:
    files = {
        ".actor/actor.json": definition(dockerfile="../docker/slim"),
        "docker/slim": 'CMD ["x"]',
        "Dockerfile": "CMD y",
    }

    assert load("local", write(home, files)).manifest.command == ["x"]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", []),
        ("FROM a\nCMD", []),
        ('from a\ncmd ["x",\\\n  # why\n  "y"]\r\n', ["x", "y"]),
        ("FROM a AS one\nCMD one\nFROM b\nRUN CMD", []),
        ("CMD first\nCMD second && third", ["/bin/sh", "-c", "second && third"]),
        ('ENTRYPOINT ["tini", "--"]\nCMD ["node", "x"]', ["tini", "--", "node", "x"]),
        ('CMD ["lost"]\nENTRYPOINT ["x"]', ["x"]),
    ],
)
def test_a_dockerfile_s_last_word_is_the_command(text: str, command: list[str]) -> None:
    assert docker_command(text) == command


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {".actor/actor.json": '{"name": "x",\n nothing}'},
            r"actor\.json: Expecting property name .*: line 2 column 2",
        ),
        ({".actor/actor.json": "[]"}, r"actor\.json: this must be a JSON object"),
        ({"main.py": ""}, r"is not an Actor: it has neither \.actor/actor\.json nor actor\.yaml"),
        ({".actor/actor.json": definition(dockerfile=5)}, r"actor\.json: dockerfile must be a path"),
        ({".actor/actor.json": definition(storages=[]), "main.py": ""}, r"actor\.json: storages must be an object"),
        ({".actor/actor.json": definition(), "README": ""}, "Write it into .*/actor.yaml, such as: command:"),
        ({".actor/actor.json": definition(name="Bad name"), "main.py": ""}, r"actor\.json: .*\$\.name"),
        ({".actor/actor.json": definition(version="1"), "actor.yaml": "command: [x]"}, r"json with .*yaml: .*version"),
        ({".actor/actor.json": definition(input="none.json"), "main.py": ""}, r"none\.json: No such file"),
        ({".actor/actor.json": definition(input=5), "main.py": ""}, "input must be an object or the path"),
        ({".actor/actor.json": definition(storages={"datasets": {"a": {}}}), "main.py": ""}, '"default" dataset'),
        ({"actor.yaml": "command: [x]"}, "missing required field `name`"),
        ({"actor.yaml": "name: x\ncommand: [x]\ninput: {properties: []}"}, r"input schema .* at `\$\.properties`"),
        (
            {"actor.yaml": "name: x\ncommand: [x]\ninput: {properties: {a: {type: strin}}}"},
            r"`\$\.properties\.a\.type`",
        ),
        ({"actor.yaml": "name: x\ncommand: [x]\ninput: {properties: {a: true}}"}, "field a must be an object"),
        ({"actor.yaml": "name: x\ncommand: [x]\ndatasets: {all: {views: []}}"}, r'`\$\.views` - of the dataset "all"'),
        ({"actor.yaml": "name: x\ncommand: [x]\nstore: {collections: []}"}, r"key-value store .* at `\$\.collections`"),
        ({"actor.yaml": "name: x\ncommand: [x]\ndatasets: {all: {fields: {type: objct}}}"}, "'objct' is not"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_told_with_its_file(home: Path, files: dict[str, Any], said: str) -> None:
    with pytest.raises(EmulatorError, match=said):
        load("local", write(home, files))


def test_a_byte_order_mark_is_forgiven(home: Path) -> None:
    files = {".actor/actor.json": "\ufeff" + json.dumps(definition()), "main.py": ""}

    assert load("local", write(home, files)).manifest.name == "shop"


def test_an_actor_with_a_virtual_environment_runs_on_it(home: Path) -> None:
    write(home, {"actor.yaml": 'name: own\ncommand: ["{python}", "x"]', ".venv/bin/python": ""})

    program = load("local", home)

    assert program.command == [str(home / ".venv" / "bin" / "python"), "x"]


async def test_a_folder_can_be_an_actor_or_hold_some(start_emulator: StartEmulator, tmp_path: Path) -> None:
    one = write(tmp_path / "one", {".actor/actor.json": definition(), "main.py": ""})
    write(
        tmp_path / "many",
        {
            "a/actor.yaml": "name: a\ncommand: [x]",
            "b/.actor/actor.json": definition(name="b"),
            "c/x": "",
            "b/main.py": "",
        },
    )

    emulator = await start_emulator(actors=(one, tmp_path / "many", tmp_path / "many" / "b"))

    names = [item["name"] for item in (await emulator.get("/v2/acts")).data["items"]]
    assert names == ["a", "b", "shop", "pydoc-crawler"]


async def test_declared_datasets_are_made_with_the_run_and_go_with_it(
    start_emulator: StartEmulator, tmp_path: Path
) -> None:
    storages = {"datasets": {"default": VIEWS, "reviews": {"views": {}}}}
    home = write(tmp_path / "one", {".actor/actor.json": definition(storages=storages, buildTag="beta"), "main.py": ""})
    emulator = await start_emulator(actors=(home,))

    run = await emulator.finish(await emulator.start("shop", "build=beta"))

    ids = run["storageIds"]["datasets"]
    assert (run["buildNumber"], run["options"]["build"]) == ("1.2.1", "beta")
    assert ids.keys() == {"default", "reviews"}
    assert ids["default"] == run["defaultDatasetId"]
    assert (await emulator.get(f"/v2/datasets/{ids['default']}")).data["schema"] == VIEWS
    assert (await emulator.get(f"/v2/datasets/{ids['reviews']}")).data["schema"] == {"views": {}}
    await emulator.ask("DELETE", f"/v2/actor-runs/{run['id']}")
    assert (await emulator.get(f"/v2/datasets/{ids['reviews']}")).status == 404


async def test_memory_beyond_the_actor_s_limits_is_refused(start_emulator: StartEmulator, tmp_path: Path) -> None:
    home = write(tmp_path / "one", {".actor/actor.json": definition(maxMemoryMbytes=512), "main.py": ""})
    emulator = await start_emulator(actors=(home,))

    answer = await emulator.post("/v2/acts/local~shop/runs?memory=1024")

    assert answer.error == (400, "invalid-value")
    assert "between 128 and 512" in answer.json["error"]["message"]

"""`${…}`: where it is looked up, and that what is found can never become structure."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import ConfigInvalid
from config.document import parse
from config.environment import Environment, fill
from config.footprint import footprint

VALUES = {"A": "one", "EMPTY": "", "WEIRD": "${A}", "YAML": "x\nb: [1, 2]\n"}


def filled(text: str, folder: Path = Path()) -> Any:
    found = fill(text, Environment(VALUES, folder))
    assert not found.failed
    return found.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x ${A}${A} y", "x oneone y"),
        ("${EMPTY}", ""),
        ("${EMPTY:-two}", "two"),
        ("${ABSENT:-two}", "two"),
        ("${ABSENT:-}", ""),
        ("${A:-two}", "one"),
        ("${ABSENT:-a:-b c}", "a:-b c"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("${WEIRD}", "${A}"),
        ("$A $ {A} {A}", "$A $ {A} {A}"),
        ("{{ run.id }}", "{{ run.id }}"),
    ],
)
def test_a_reference_is_filled(text: str, value: str) -> None:
    assert filled(text) == value


def test_it_is_known_where_in_a_text_a_value_was_put() -> None:
    text, environment = "$${x} ${A}${EMPTY}-${YAML} $${y}${WEIRD}", Environment(VALUES)
    whole = fill(text, environment).value
    parts = fill(text, environment).texts[whole]
    assert [(part.reference, whole[part.begin : part.end]) for part in parts] == [
        (f"${{{name}}}", VALUES[name]) for name in ("A", "EMPTY", "YAML", "WEIRD")
    ]
    assert fill("$${A}", environment).texts == {}


@pytest.mark.parametrize("text", ["${ABSENT}", "${}", "${1A}", "${run.id}", "${A", "${A:two}", "${file:}", "${É}"])
def test_what_cannot_be_filled_is_left_and_told(text: str) -> None:
    found = fill({"a": [text, "${A}"]}, Environment(VALUES))
    assert found.value == {"a": [text, "one"]}
    assert [list(found.failed), found.used] == [[("a", 0)], {("a", 1): [("${A}", "one")]}]


def test_a_file_gives_its_text_without_the_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("swordfish\n")
    (tmp_path / "windows").write_bytes(b"two\r\nlines\r\n")
    assert filled("${file:plain}", tmp_path) == "swordfish"
    assert filled("${file:windows}", tmp_path) == "two\r\nlines"
    assert filled(f"${{file:{tmp_path}/plain}}") == "swordfish"


def test_a_file_that_changes_is_another_value_only_in_another_environment(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("one")
    environment = Environment({}, tmp_path)
    assert environment.value("file:plain") == "one"
    (tmp_path / "plain").write_text("two, and longer")
    assert environment.value("file:plain") == "one"
    assert environment.looked_at != {tmp_path / "plain": footprint(tmp_path / "plain")}
    assert Environment({}, tmp_path).value("file:plain") == "two, and longer"


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (64 * 1024 + 1))
    (tmp_path / "latin").write_bytes(b"\xe9")
    texts = [f"${{file:{name}}}" for name in ("big", "latin", "absent", "a\0b")]
    failed = fill(texts, Environment({}, tmp_path)).failed
    assert [str(failure) for failures in failed.values() for failure in failures] == [
        "the file big is larger than 64 KiB",
        "the file latin cannot be read: it is not UTF-8",
        "the file absent cannot be read: No such file or directory",
        "the file a\0b cannot be read: it is not UTF-8",
    ]


def test_a_dotenv_beside_the_file_gives_what_the_environment_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("A=from-file\nB='${A} #kept'\nexport C=3\nBARE\n")
    monkeypatch.setenv("A", "real")
    environment = Environment.beside(tmp_path / "runrelay.yaml")
    assert fill("${A}|${B}|${C}|${BARE:-none}", environment).value == "real|${A} #kept|3|none"
    assert Environment.beside(tmp_path / "runrelay.yaml", {}).variables == {
        "A": "from-file",
        "B": "${A} #kept",
        "C": "3",
    }
    assert "real" not in repr(environment)


def test_a_dotenv_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xe9\n")
    with pytest.raises(ConfigInvalid, match=r"\.env: the file cannot be read: it is not UTF-8"):
        Environment.beside(tmp_path / "runrelay.yaml", {})


def shape(value: Any) -> Any:
    """Keys, lengths and types, without the texts."""
    if isinstance(value, dict):
        return {key: shape(below) for key, below in value.items()}
    return [shape(below) for below in value] if isinstance(value, list) else type(value)


TREES = st.recursive(
    st.sampled_from(["${A}", "x${B}y", "$${A}", "${C:-d}", "plain", "{{ a }}"]) | st.integers() | st.booleans(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "${A}", "b"]), below, max_size=3),
    max_leaves=10,
)


@given(tree=TREES, a=st.text(), b=st.text(alphabet="{}[]:,-\n\"'${}A &*!#"), c=st.text())
def test_a_value_never_adds_structure(tree: Any, a: str, b: str, c: str) -> None:
    assert shape(fill(tree, Environment({"A": a, "B": b, "C": c})).value) == shape(tree)


@given(value=st.text(alphabet="{}[]:,-\n\"'${}A &*!#"))
def test_a_text_holds_exactly_what_the_variable_holds(value: str) -> None:
    document = parse("a: ${A}\nb: ['<${A}>']\n", "f")
    assert fill(document.value, Environment({"A": value})).value == {"a": value, "b": [f"<{value}>"]}

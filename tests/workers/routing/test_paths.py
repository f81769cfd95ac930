import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts.errors import Permanent
from workers.routing.paths import extension, fenced, second, with_extension


@pytest.mark.parametrize(
    ("rendered", "path"),
    [
        ("a.jsonl", "a.jsonl"),
        ("acme/shop-de/r1.jsonl", "acme/shop-de/r1.jsonl"),
        ("it's (1)!", "it's (1)!"),
        (".hidden/...", ".hidden/..."),
        ("e\u0301", "\u00e9"),
    ],
)
def test_a_path_under_the_base_is_kept(rendered: str, path: str) -> None:
    assert fenced(rendered) == PurePosixPath(path)


@pytest.mark.parametrize(
    ("rendered", "why"),
    [
        ("", "an empty name in the path ''"),
        ("/etc/passwd", "an empty name in the path '/etc/passwd'"),
        ("a//b", "an empty name in the path 'a//b'"),
        ("a/", "an empty name in the path 'a/'"),
        ("../a", "`..` in the path '../a'"),
        ("a/../../b", "`..` in the path 'a/../../b'"),
        ("a/./b", "`.` in the path 'a/./b'"),
        ("..\\a", "a backslash in the path '..\\\\a'"),
        ("a\x1b[0m", "a control character in the path 'a\\x1b[0m'"),
        ("a\x85", "a control character in the path 'a\\x85'"),
        ("a\udcff", "a control character in the path 'a\\udcff'"),
    ],
)
def test_a_path_that_may_leave_the_base_is_refused(rendered: str, why: str) -> None:
    with pytest.raises(Permanent) as caught:
        fenced(rendered)
    assert str(caught.value) == f"path_escape: {why}"


@given(
    st.text(alphabet=st.sampled_from("./\\ab\x00ü~-\u2024\uff0e\u2215")) | st.text(st.characters(exclude_categories=()))
)
def test_whatever_passes_lies_under_the_base(rendered: str) -> None:
    try:
        path = fenced(rendered)
    except Permanent:
        return
    assert not path.is_absolute()
    assert {"..", ".", ""}.isdisjoint(path.parts)
    assert all(len(os.fsencode(name)) <= 255 and "\0" not in name for name in path.parts)
    assert os.path.normpath(f"/base/{path}") == f"/base/{path}"


@given(st.text(alphabet="äb.", min_size=150, max_size=400).filter(lambda text: text.strip(".")))
def test_long_names_are_cut_to_200_bytes_and_stay_different(name: str) -> None:
    first, other = fenced(f"{name}x").name, fenced(f"{name}y").name
    assert len(first.encode()) <= 200
    assert first != other


@pytest.mark.parametrize(
    ("name", "content_type", "result"),
    [
        ("OUTPUT", "application/json; charset=utf-8", "OUTPUT.json"),
        ("SHOT", "image/png", "SHOT.png"),
        ("SHOT", "IMAGE/JPEG", "SHOT.jpg"),
        ("logo", "image/svg+xml", "logo.svg"),
        ("page.html", "text/plain", "page.html"),
        ("v1.2", "application/pdf", "v1.2.pdf"),
        ("data", "application/octet-stream", "data.bin"),
        ("data", "application/x-made-up", "data.bin"),
        ("data", "", "data.bin"),
        ("song", "audio/mpeg", "song.mp3"),
        (".profile", "text/plain", ".profile"),
        ("a.7z", "application/octet-stream", "a.7z"),
    ],
)
def test_a_document_gets_the_extension_of_its_type_unless_it_has_one(name: str, content_type: str, result: str) -> None:
    assert with_extension(PurePosixPath("x", name), content_type) == PurePosixPath("x", result)


def test_a_second_document_of_one_name_is_marked_with_its_key() -> None:
    assert second(PurePosixPath("x/a.png"), "a b") == PurePosixPath("x/a~c8687a08.png")
    assert second(PurePosixPath("x/a"), "a b") == PurePosixPath("x/a~c8687a08")


def test_extensions_do_not_depend_on_parameters() -> None:
    assert extension("text/csv ; header=present") == ".csv"

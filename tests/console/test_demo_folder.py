"""A demo replaces what an earlier one made, and nothing else."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from console.demo.folder import MARK, demo_folder
from console.failures import CommandFailed


def _files(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


def _perform(path: Path) -> None:
    with demo_folder(path) as folder:
        folder.modules.write_text("{}\n")
        folder.records.mkdir()
        (folder.records / "OUTPUT.json").write_text("{}")


def test_a_new_or_empty_folder_is_used(tmp_path: Path) -> None:
    for path in (tmp_path / "deep" / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        _perform(path)
        assert _files(path) == {"runrelay.yaml", "modules.jsonl", "records/OUTPUT.json", MARK}


def test_a_folder_no_demo_made_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CommandFailed, match="not from an earlier demo"), demo_folder(tmp_path):
        pass
    assert _files(tmp_path) == {"thesis.txt"}


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(CommandFailed, match="--out"), demo_folder(tmp_path / "out"):
        pass


def test_the_next_demo_removes_what_the_last_one_made_and_nothing_else(tmp_path: Path) -> None:
    _perform(tmp_path)
    (tmp_path / "records" / "mine.txt").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    with demo_folder(tmp_path):
        assert _files(tmp_path) == {"runrelay.yaml", "records/mine.txt", "notes.txt", MARK}
    with demo_folder(tmp_path):
        assert (tmp_path / "notes.txt").read_text() == (tmp_path / "records" / "mine.txt").read_text() == "mine"


def test_a_demo_that_failed_is_cleared_as_well(tmp_path: Path) -> None:
    with suppress(RuntimeError), demo_folder(tmp_path) as folder:
        folder.modules.write_text("{}\n")
        raise RuntimeError
    with demo_folder(tmp_path) as folder:
        assert not folder.modules.exists()


@pytest.mark.parametrize("listed", [["../mine.txt"], ["/etc/hostname"], "runrelay.yaml", [1], {}])
def test_a_list_that_names_other_places_removes_nothing_there(tmp_path: Path, listed: object) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / MARK).write_text(json.dumps({"files": listed}))
    with suppress(CommandFailed), demo_folder(out):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert Path("/etc/hostname").exists()


def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "OUTPUT.json").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / MARK).write_text(json.dumps({"files": ["records/OUTPUT.json"]}))
    (out / "records").symlink_to(tmp_path / "theirs")
    with demo_folder(out):
        pass
    assert (tmp_path / "theirs" / "OUTPUT.json").read_text() == "mine"

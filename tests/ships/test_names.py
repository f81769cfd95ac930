"""Names that must not clash, and hosts that must not be named."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ships.manifests import FOLDERS, pod_of, workloads
from tests.ships.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
SHIPPED = [
    *(ROOT / name for name in ("Dockerfile", "compose.yaml", "pyproject.toml", ".pre-commit-config.yaml")),
    *sorted((ROOT / "requirements").glob("*.txt")),
    *sorted((ROOT / "scripts").iterdir()),
    *sorted(path for path in (ROOT / "k8s").rglob("*") if path.is_file()),
]
EXAMPLES = {"127.0.0.1", "example.com", "hooks.example.com", "redis.example.com", "redis", "runrelay-redis"}


def test_no_installed_distribution_shadows_a_room() -> None:
    installed = packages_distributions()
    assert {room: set(installed.get(room, [])) - {"runrelay"} for room in ROOMS} == {room: set() for room in ROOMS}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_shipped_file_says_where_packages_or_images_come_from(path: Path) -> None:
    text = path.read_text()
    hosts = set(re.findall(r"[a-z]://(?:[^/\s@]*@)?([\w.-]+)", text))
    assert hosts <= EXAMPLES
    assert re.findall(r"--(?:extra-)?index-url|--find-links|^-i ", text, flags=re.MULTILINE) == []


def images() -> list[str]:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    pods = [pod_of(workload) for folder in FOLDERS for workload in workloads(folder).values()]
    containers = [each for pod in pods for each in [*pod.get("initContainers", []), *pod["containers"]]]
    base = re.findall(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return sorted(
        {service["image"] for service in compose["services"].values()}
        | {each["image"] for each in containers}
        | {*base}
    )


def test_images_are_named_without_a_registry_and_with_a_version() -> None:
    version = PROJECT["project"]["version"]
    assert images() == ["python:3.11-slim", f"runrelay:{version}", "valkey/valkey:8.1"]


def test_the_rooms_are_the_folders_with_code() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert folders == set(ROOMS)

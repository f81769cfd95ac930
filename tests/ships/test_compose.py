"""The one-machine set-up."""

from typing import Any

import pytest
import yaml

from tests.ships.repository import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_services_are_the_queue_and_our_processes() -> None:
    assert {name: service.get("profiles") for name, service in SERVICES.items()} == {
        "redis": None,
        "receiver": None,
        "worker": None,
        "emulator": ["emulator"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )
    assert service["tmpfs"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_no_port_is_open_to_other_machines(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_queue_is_on_a_network_without_a_way_out() -> None:
    assert SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_a_worker_has_the_time_to_end_its_slice() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == "150s"


def test_every_named_volume_exists_and_is_used() -> None:
    mounted = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service["volumes"]
        if isinstance(volume, str)
    }
    assert mounted == set(COMPOSE["volumes"])


def test_the_image_is_the_one_the_manifests_name() -> None:
    kustomization = yaml.safe_load((ROOT / "k8s/base/kustomization.yaml").read_text())
    (image,) = kustomization["images"]
    assert {service["image"] for service in SERVICES.values()} == {
        f"{image['newName']}:{image['newTag']}",
        "valkey/valkey:8.1",
    }

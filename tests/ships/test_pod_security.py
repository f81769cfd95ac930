"""The rules are tested on pods that break one each, so that a silent rule cannot pass for a kept one."""

from copy import deepcopy
from typing import Any

import pytest

from tests.ships.manifests import FOLDERS, Manifest, pod_of, workloads
from tests.ships.pod_security import violations


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_meets_the_restricted_level(folder: str) -> None:
    assert [(name, *violations(pod_of(each))) for name, each in workloads(folder).items()] == [
        (name,) for name in workloads(folder)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_has_a_read_only_root_and_no_token_and_a_memory_limit(folder: str) -> None:
    for workload in workloads(folder).values():
        pod = pod_of(workload)
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["hostNetwork"], True, "hostNetwork is shared"),
        (["volumes", 0], {"name": "etc", "hostPath": {"path": "/etc"}}, "volume etc is a hostPath"),
        (["securityContext", "sysctls"], [{"name": "a", "value": "b"}], "sysctls are set"),
        (["containers", 0, "securityContext", "privileged"], True, "receiver is privileged"),
        (["containers", 0, "securityContext", "allowPrivilegeEscalation"], True, "receiver may escalate"),
        (["containers", 0, "securityContext", "runAsNonRoot"], False, "receiver may be root"),
        (["containers", 0, "securityContext", "runAsUser"], 0, "receiver runs as root"),
        (
            ["containers", 0, "securityContext", "seccompProfile"],
            {"type": "Unconfined"},
            "receiver has no seccomp profile",
        ),
        (["initContainers", 0, "securityContext", "capabilities"], {}, "check keeps capabilities"),
        (["containers", 0, "securityContext", "capabilities", "add"], ["NET_ADMIN"], "receiver adds capabilities"),
        (["containers", 0, "securityContext", "procMount"], "Unmasked", "receiver unmasks /proc"),
        (["containers", 0, "ports", 0, "hostPort"], 80, "receiver takes a host port"),
    ],
)
def test_a_pod_that_breaks_a_rule_is_named(path: list[str | int], value: object, problem: str) -> None:
    pod = deepcopy(pod_of(workloads("base")["runrelay-receiver"]))
    assert violations(changed(pod, path, value)) == [problem]


def changed(pod: Manifest, path: list[str | int], value: object) -> Manifest:
    place: Any = pod
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return pod

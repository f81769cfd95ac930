"""The rules of Kubernetes' Pod Security Standards, level "restricted", which includes "baseline"."""

from collections.abc import Iterator

from tests.ships.manifests import Manifest

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SAFE_SECCOMP = {"RuntimeDefault", "Localhost"}


def violations(pod: Manifest) -> list[str]:
    """What the admission controller would refuse, in words; empty if it would let the pod in."""
    containers = [*pod.get("initContainers", []), *pod["containers"]]
    return [*_of_pod(pod), *(problem for each in containers for problem in _of_container(each, pod))]


def _of_pod(pod: Manifest) -> Iterator[str]:
    security = pod.get("securityContext", {})
    yield from (f"{name} is shared" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for volume in pod.get("volumes", []):
        if kinds := volume.keys() - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kinds.pop()}"
    if security.get("sysctls"):
        yield "sysctls are set"
    if security.get("runAsUser") == 0:
        yield "the pod runs as root"


def _of_container(container: Manifest, pod: Manifest) -> Iterator[str]:
    name = container["name"]
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    capabilities = container.get("securityContext", {}).get("capabilities", {})
    broken = {
        "is privileged": security.get("privileged", False),
        "may escalate": security.get("allowPrivilegeEscalation") is not False,
        "may be root": security.get("runAsNonRoot") is not True,
        "runs as root": security.get("runAsUser") == 0,
        "has no seccomp profile": security.get("seccompProfile", {}).get("type") not in SAFE_SECCOMP,
        "keeps capabilities": "ALL" not in capabilities.get("drop", []),
        "adds capabilities": bool(set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}),
        "unmasks /proc": security.get("procMount", "Default") != "Default",
        "takes a host port": any(port.get("hostPort") for port in container.get("ports", [])),
    }
    yield from (f"{name} {problem}" for problem, found in broken.items() if found)

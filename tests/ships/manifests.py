"""What kustomize makes of a folder, and the pods in it."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.ships.repository import ROOT, tool

Manifest = dict[str, Any]

FOLDERS = ["base", *sorted(f"overlays/{path.name}" for path in (ROOT / "k8s/overlays").iterdir())]


@cache
def rendered(folder: str) -> list[Manifest]:
    """Every object of `k8s/<folder>`, in kustomize's order."""
    return kustomized(ROOT / "k8s" / folder)


def kustomized(folder: Path) -> list[Manifest]:
    done = subprocess.run([tool("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def of_kind(folder: str, *kinds: str) -> list[Manifest]:
    return [manifest for manifest in rendered(folder) if manifest["kind"] in kinds]


def workloads(folder: str) -> dict[str, Manifest]:
    """Deployments and StatefulSets by name."""
    return {each["metadata"]["name"]: each for each in of_kind(folder, "Deployment", "StatefulSet")}


def pod_of(workload: Manifest) -> Manifest:
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def labels_of(workload: Manifest) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """A label selector with `matchLabels` and `In` expressions, which is all our manifests use."""
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )

"""What `kubectl apply -k` would send to a cluster."""

import re
from os.path import relpath
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from config.routes import load
from config.settings import Settings
from tests.ships.manifests import (
    FOLDERS,
    Manifest,
    kustomized,
    labels_of,
    of_kind,
    pod_of,
    rendered,
    selects,
    workloads,
)
from tests.ships.repository import ROOT

OURS = ["runrelay-receiver", "runrelay-worker"]
PROBES = ["startupProbe", "livenessProbe", "readinessProbe"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_is_valid_for_the_newest_kubernetes_known(folder: str) -> None:
    newest = kubernetes_validate.latest_version()
    for manifest in rendered(folder):
        assert f"{kubernetes_validate.validate(manifest, newest, strict=True)}.0" == newest


def test_validation_sees_an_unknown_key() -> None:
    service = of_kind("base", "Service")[0]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**service, "sepc": {}}, kubernetes_validate.latest_version(), strict=True)


def test_the_base_holds_the_promised_objects_and_no_secret() -> None:
    assert sorted((each["kind"], each["metadata"]["name"].rsplit("-config-")[0]) for each in rendered("base")) == [
        ("ConfigMap", "runrelay"),
        ("Deployment", "runrelay-receiver"),
        ("Deployment", "runrelay-worker"),
        ("HorizontalPodAutoscaler", "runrelay-receiver"),
        ("Ingress", "runrelay-receiver"),
        ("Namespace", "runrelay"),
        ("NetworkPolicy", "runrelay-default-deny"),
        ("NetworkPolicy", "runrelay-dns"),
        ("NetworkPolicy", "runrelay-receiver"),
        ("NetworkPolicy", "runrelay-worker"),
        ("PodDisruptionBudget", "runrelay-receiver"),
        ("PodDisruptionBudget", "runrelay-worker"),
        ("Service", "runrelay-receiver"),
        ("ServiceAccount", "runrelay"),
    ]
    assert all(of_kind(folder, "Secret") == [] for folder in FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_is_in_one_namespace_that_enforces_the_restricted_level(folder: str) -> None:
    (namespace,) = of_kind(folder, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {each["metadata"]["namespace"] for each in rendered(folder) if each is not namespace} == {"runrelay"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_ingress_lets_only_webhooks_in(folder: str) -> None:
    (ingress,) = of_kind(folder, "Ingress")
    paths = [(path["path"], path["pathType"]) for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert paths == [("/webhooks/", "Prefix")]
    assert "defaultBackend" not in ingress["spec"]
    assert ingress["spec"]["tls"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_probes_of_our_processes_ask_over_http(folder: str) -> None:
    asked = {
        name: [pod_of(workloads(folder)[name])["containers"][0][probe]["httpGet"] for probe in PROBES] for name in OURS
    }
    alive, ready = {"path": "/healthz", "port": "http"}, {"path": "/readyz", "port": "http"}
    assert asked == {
        "runrelay-receiver": [alive, alive, ready],
        "runrelay-worker": [{"path": "/healthz", "port": "health"}] * 3,
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_wrong_routes_file_stops_the_pod_before_it_starts(folder: str) -> None:
    for name in OURS:
        pod = pod_of(workloads(folder)[name])
        (check,), (process,) = pod["initContainers"], pod["containers"]
        assert check["args"] == ["check"]
        assert (check["image"], check["envFrom"], check["volumeMounts"]) == (
            process["image"],
            process["envFrom"],
            process["volumeMounts"],
        )


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_routes_file_reaches_the_pods_under_a_name_that_changes_with_it(folder: str) -> None:
    (routes,) = [each for each in of_kind(folder, "ConfigMap") if "runrelay.yaml" in each["data"]]
    assert routes["data"] == {"runrelay.yaml": (ROOT / "k8s/base/runrelay.yaml").read_text()}
    assert re.fullmatch(r"runrelay-config-[a-z0-9]{10}", routes["metadata"]["name"])
    for name in OURS:
        (volume,) = [each for each in pod_of(workloads(folder)[name])["volumes"] if each["name"] == "config"]
        assert volume == {"name": "config", "configMap": {"name": routes["metadata"]["name"]}}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_worker_has_the_time_to_end_its_slice(folder: str) -> None:
    grace = pod_of(workloads(folder)["runrelay-worker"])["terminationGracePeriodSeconds"]
    assert grace == 150
    assert grace > Settings.model_fields["job_timeout"].default


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_selector_finds_its_pods(folder: str) -> None:
    pods = {name: labels_of(each) for name, each in workloads(folder).items()}
    chosen = {
        each["metadata"]["name"]: [name for name, labels in pods.items() if selects(selector_of(each), labels)]
        for each in [*of_kind(folder, "Deployment", "StatefulSet", "PodDisruptionBudget", "Service")]
    }
    assert chosen == {name: [name] for name in chosen}
    (scaler,) = of_kind(folder, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] in pods


def selector_of(manifest: Manifest) -> Manifest:
    selector: Manifest = manifest["spec"]["selector"]
    return {"matchLabels": selector} if manifest["kind"] == "Service" else selector


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_speaks_or_listens_unless_a_policy_says_so(folder: str) -> None:
    (deny,) = [each for each in of_kind(folder, "NetworkPolicy") if each["metadata"]["name"].endswith("default-deny")]
    assert deny["spec"].keys() == {"podSelector", "policyTypes"}
    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert all(selects(deny["spec"]["podSelector"], labels_of(each)) for each in workloads(folder).values())


def test_the_receiver_reaches_the_queue_alone_and_workers_https_too() -> None:
    redis = [("runrelay-redis", 6379)]
    internet = [("0.0.0.0/0", 443), ("::/0", 443)]
    assert {name: reached(name) for name in OURS} == {"runrelay-receiver": redis, "runrelay-worker": redis + internet}


def reached(name: str) -> list[tuple[str, int]]:
    """Where the policy of this name lets its pods go."""
    (policy,) = [each for each in of_kind("base", "NetworkPolicy") if each["metadata"]["name"] == name]
    return [
        (place_of(peer), port["port"])
        for rule in policy["spec"]["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
    ]


def place_of(peer: Manifest) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    return str(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_the_ingress_controller_and_the_monitoring_reach_the_receiver(folder: str) -> None:
    (policy,) = [each for each in of_kind(folder, "NetworkPolicy") if each["metadata"]["name"] == "runrelay-receiver"]
    (rule,) = policy["spec"]["ingress"]
    assert [list(peer) for peer in rule["from"]] == [["namespaceSelector"]] * 2
    assert all(peer["namespaceSelector"] for peer in rule["from"])


def test_the_secret_example_fills_every_variable_of_the_routes_file() -> None:
    example = yaml.safe_load((ROOT / "k8s/base/secret.example.yaml").read_text())
    named = set(re.findall(r"\$\{(\w+)", (ROOT / "k8s/base/runrelay.yaml").read_text()))
    assert named | {"REDIS_URL"} == set(example["stringData"])
    assert example["metadata"] == {"name": "runrelay", "namespace": "runrelay"}


def test_the_routes_file_of_the_base_is_right_once_the_secret_is_filled() -> None:
    example = yaml.safe_load((ROOT / "k8s/base/secret.example.yaml").read_text())
    table = load(ROOT / "k8s/base/runrelay.yaml", example["stringData"])
    assert ([route.name for route in table.routes], table.warnings) == (["all"], ())


def test_the_overlay_of_the_how_to_page_renders_and_is_valid(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/deploy-kubernetes.md").read_text()
    (overlay,) = re.findall(r"```yaml\n( +# k8s/overlays/mine.*?)```", page, flags=re.DOTALL)
    redis = relpath(ROOT / "k8s/overlays/redis", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(overlay.replace("../redis", redis))
    (tmp_path / "runrelay.yaml").write_text("version: 1\n")
    manifests = kustomized(tmp_path)
    for manifest in manifests:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    found = {each["kind"]: each for each in manifests if "redis" not in each["metadata"]["name"]}
    assert found["ConfigMap"]["data"] == {"runrelay.yaml": "version: 1\n"}
    assert found["Ingress"]["spec"]["rules"][0]["host"] == "hooks.your-domain.example"
    assert pod_of(found["Deployment"])["containers"][0]["image"] == "your-images/runrelay:0.1.0"


def test_the_redis_overlay_gives_both_processes_the_address_of_its_server() -> None:
    (server,) = of_kind("overlays/redis", "StatefulSet")
    for name in OURS:
        environment = pod_of(workloads("overlays/redis")[name])["containers"][0]["env"]
        assert [each["name"] for each in environment] == ["REDIS_PASSWORD", "REDIS_URL"]
        assert environment[1]["value"] == f"redis://:$(REDIS_PASSWORD)@{server['metadata']['name']}:6379/0"

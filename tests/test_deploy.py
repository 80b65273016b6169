"""The files of docs/deploy: whole, valid for the versions they name, and one with the code."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.costs import DOCS, Published, serving_memory
from bentos.recommender.packing import STATE_FOLDER

PROJECT = Path(__file__).resolve().parents[1]
DEPLOY = DOCS / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
APPLIED = ("state", "redis", "recommender", "network", "secret", "job")
BIN = Path(sys.executable).parent
UID = 1034
"""Of Bento's user in its images."""
TAKES = ("service_mib", "own_mib", "sketch_mib", "mapped_vectors_mib")
"""What the benchmark tells of the memory of a service, by its names."""


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((KUBERNETES / f"{name}.yaml").read_text()) if one]


def one(kind: str, name: str, *, file: str) -> dict[str, Any]:
    (found,) = [
        each for each in documents(file) if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def documents_with_spec(file: str) -> list[dict[str, Any]]:
    return [each for each in documents(file) if "spec" in each]


@pytest.mark.parametrize("file", APPLIED)
def test_the_manifests_are_valid(file: str) -> None:
    """Against the schemas of Kubernetes, unknown fields refused; no network is asked."""
    command = [str(BIN / "kubernetes-validate"), "--strict", str(KUBERNETES / f"{file}.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def patched(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """As `kubectl patch` merges it: objects by field, containers by their names."""
    made = dict(document)
    for field, value in patch.items():
        before = made.get(field)
        if isinstance(value, dict) and isinstance(before, dict):
            made[field] = patched(before, value)
        elif isinstance(value, list) and isinstance(before, list):
            changes = {each["name"]: each for each in value}
            assert set(changes) <= {each["name"] for each in before}, "a patch adds no container"
            made[field] = [patched(each, changes.get(each["name"], {})) for each in before]
        else:
            made[field] = value
    return made


def test_the_patch_for_gpus_makes_a_valid_deployment(tmp_path: Path) -> None:
    (patch,) = documents("gpu")
    deployment = one("Deployment", "recommender", file="recommender")
    made = patched(deployment, patch)
    file = tmp_path / "recommender.yaml"
    file.write_text(yaml.safe_dump(made))
    command = [str(BIN / "kubernetes-validate"), "--strict", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (before,), (after,) = (
        each["spec"]["template"]["spec"]["containers"] for each in (deployment, made)
    )
    limits = {**before["resources"]["limits"], "nvidia.com/gpu": 1}
    assert after == {**before, "resources": {**before["resources"], "limits": limits}}


def test_traces_may_leave_to_a_collector_and_the_guide_says_how() -> None:
    policy = one("NetworkPolicy", "recommender", file="network")["spec"]
    ports = {port["port"]: rule["to"] for rule in policy["egress"] for port in rule["ports"]}
    assert set(ports) == {6379, 53, 4317, 4318}
    (selector,) = ports[4317]
    name = selector["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert ports[4318] == ports[4317]
    assert f"`{name}`" in (DEPLOY / "README.md").read_text()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}


def test_the_compose_file_is_valid() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    environment = {**os.environ, "NO_PROXY": "*"}
    done = subprocess.run(
        [*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_resource_of_the_kustomization_is_there() -> None:
    (told,) = documents("kustomization")
    assert set(told["resources"]) == {f"{name}.yaml" for name in APPLIED} - {
        "secret.yaml",
        "job.yaml",
    }


def test_nothing_runs_as_root_or_writes_to_its_own_file_system() -> None:
    found = [each for file in APPLIED for each in documents_with_spec(file)]
    specs = [each["spec"]["template"]["spec"] for each in found if "template" in each["spec"]]
    assert len(specs) == 3
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]) == {"requests", "limits"}
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}


def test_a_new_version_takes_requests_only_after_its_contract_was_checked() -> None:
    deployment = one("Deployment", "recommender", file="recommender")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    spec = deployment["template"]["spec"]
    (check,), (service,) = spec["initContainers"], spec["containers"]
    assert check["command"] == ["python", "-m", "bentos.recommender.check"]
    assert (check["env"], check["volumeMounts"]) == (service["env"], service["volumeMounts"])
    assert check["image"] == service["image"]
    paths = {
        kind: service[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "liveness", "readiness")
    }
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}


def test_a_pod_has_longer_to_end_than_a_request_may_take() -> None:
    from bentos.recommender.service import RecommenderService

    service: Any = RecommenderService
    timeout = service.config["traffic"]["timeout"]
    spec = one("Deployment", "recommender", file="recommender")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] >= timeout + pause
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["recommender"]
    assert int(composed["stop_grace_period"].removesuffix("s")) > timeout


def test_selectors_find_the_pods_they_mean() -> None:
    deployment = one("Deployment", "recommender", file="recommender")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    service = one("Service", "recommender", file="recommender")["spec"]
    budget = one("PodDisruptionBudget", "recommender", file="recommender")["spec"]
    policy = one("NetworkPolicy", "recommender", file="network")["spec"]
    assert service["selector"].items() <= labels.items()
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    scaler = one("HorizontalPodAutoscaler", "recommender", file="recommender")["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert budget["minAvailable"] < scaler["minReplicas"]
    redis = one("StatefulSet", "redis", file="redis")["spec"]["template"]["metadata"]["labels"]
    (to,) = policy["egress"][0]["to"]
    assert to["podSelector"]["matchLabels"].items() <= redis.items()


def test_compose_and_kubernetes_name_what_the_code_reads() -> None:
    """Variables, paths and the user's number, which the image and the code settle."""
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    recommender = composed["services"]["recommender"]
    spec = one("Deployment", "recommender", file="recommender")["spec"]["template"]["spec"]
    variables = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
    for told in (recommender["environment"], variables):
        assert told["COLDSTART_HOME"] == STATE_FOLDER
        assert told["BENTOML_HOME"] == f"{STATE_FOLDER}/bentoml"
        store = told["FEAST_FS_YAML_FILE_PATH"].removeprefix("/home/bentoml/bento/src/")
        assert (PROJECT / store).is_file()
    assert recommender["user"] == f"{UID}:{UID}"
    assert spec["securityContext"]["runAsUser"] == UID
    assert recommender["read_only"] is True
    assert set(composed["secrets"]) == {"api_keys"}
    for service in ("recommender", "redis"):
        assert "healthcheck" in composed["services"][service]
        ports = composed["services"][service].get("ports", [])
        assert all(port.startswith("127.0.0.1:") for port in ports)
    assert recommender["ports"]


def test_no_secret_is_written_down() -> None:
    secret = one("Secret", "coldstart", file="secret")["stringData"]
    assert secret["redis-password"] == "CHANGE-ME"
    assert 'sha256 = "' + "0" * 64 + '"' in secret["keys.toml"]


def measured_memory(listings: int) -> dict[str, int]:
    """What takes how many MiB, as the published benchmark has it."""
    found = serving_memory(Published((DOCS / "benchmarks.md").read_text()), listings)
    return {name: found[name] for name in TAKES}


def test_the_sizes_that_the_guide_tells_are_those_of_the_benchmark() -> None:
    guide = (DEPLOY / "README.md").read_text()
    section = guide.partition("## How large")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in row.split("|")[2:-1]] for row in section.splitlines()]
    cells = {cell for row in rows for cell in row}
    for listings in (100_000, 1_000_000):
        sizes = measured_memory(listings)
        for size in sizes.values():
            told = f"{size:,} MiB"
            assert told in cells, f"{listings:,} listings: measure, then tell {told}"
        most = sizes["service_mib"] + 3 * sizes["mapped_vectors_mib"]
        sum_of_them = f"{sizes['service_mib']:,} + 3 × {sizes['mapped_vectors_mib']:,} MiB"
        assert f"{sum_of_them} = {most / 1024:.1f} GiB" in section


def test_the_memory_that_is_allowed_suffices_for_what_is_told() -> None:
    sizes = measured_memory(100_000)
    most = sizes["service_mib"] + 3 * sizes["mapped_vectors_mib"]
    spec = one("Deployment", "recommender", file="recommender")["spec"]["template"]["spec"]
    limit = spec["containers"][0]["resources"]["limits"]["memory"]
    assert 1024 * int(limit.removesuffix("Gi")) >= most
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["recommender"]
    assert 1024 * int(composed["deploy"]["resources"]["limits"]["memory"].removesuffix("g")) >= most

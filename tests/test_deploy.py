"""The files of `deploy/`: they fit each other and the project, and what they start is what is promised.

No container is started: there need be no daemon where tests run. The commands of the image's file are read, the files
for Compose and Kubernetes are checked by schemas, and two replicas are run as they would be, over a real Redis.
"""

import json
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from commands import PATIENCE, Serving, homing_serve
from openai import OpenAI
from redis_servers import Server

from providers.simulated import SimulatedUpstream
from router.cli import main

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
CONFIG = DEPLOY / "config" / "config.yaml"
validate: Any = kubernetes_validate.validate  # it has no types
KEY = "sk-a-key-that-nobody-guesses"


def manifests() -> dict[str, dict[str, Any]]:
    """The manifests for Kubernetes, by kind and name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


MANIFESTS = manifests()
PODS = {name: each["spec"]["template"]["spec"] for name, each in MANIFESTS.items() if "template" in each["spec"]}
POD = PODS["Deployment/homing"]
CONTAINER = POD["containers"][0]


def instructions(name: str) -> list[str]:
    """What the image's file says to one instruction, in order."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def commands() -> dict[str, list[str]]:
    """What is run in the image by itself, by Compose and by Kubernetes."""
    return {
        "image": json.loads(instructions("CMD")[0]),
        "compose": COMPOSE["services"]["homing"]["command"],
        "kubernetes": CONTAINER["args"],
    }


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


# The image


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_all_that_the_image_is_built_from_is_there_and_nothing_else_is_sent() -> None:
    sources = {name for line in instructions("COPY") if "--from" not in line for name in line.split()[:-1]}
    assert {"pyproject.toml", "requirements.lock", "router", "strategies", "checks", "providers"} <= sources
    assert all((ROOT / name).exists() for name in sources)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == sources


def test_the_image_is_small_without_rights_and_of_locked_versions() -> None:
    stages = instructions("FROM")
    assert stages == ["python:${PYTHON} AS build", "python:${PYTHON}"]
    assert instructions("USER") == ["10001:10001"]
    installs = [line for line in instructions("RUN") if "pip install" in re.sub(r"--python \S+ ", "", line)]
    assert len(installs) == 2
    assert all("--constraint requirements.lock" in re.sub(r"\s+", " ", line) for line in installs)
    assert "--only-binary :all:" in re.sub(r"\s+", " ", installs[1])
    extras = dict(line.split("=", 1) for line in instructions("ARG"))["EXTRAS"].split(",")
    assert set(extras) == {"proxy", "prometheus", "otel"} <= set(PYPROJECT["optional-dependencies"])
    assert "RUN" not in DOCKERFILE.rpartition("FROM ")[2], "what is installed there would need tools"


def test_its_python_is_one_that_the_project_is_for() -> None:
    python = dict(line.split("=", 1) for line in instructions("ARG"))["PYTHON"]
    assert f"Programming Language :: Python :: {python.partition('-')[0]}" in PYPROJECT["classifiers"]


def test_the_version_is_the_projects_everywhere() -> None:
    version = PYPROJECT["version"]
    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE
    assert f"-t homing-router:{version} ." in DOCKERFILE
    assert COMPOSE["services"]["homing"]["image"] == f"homing-router:{version}"
    assert set(re.findall(r"homing-router:([\d.]+\d)", (ROOT / "README.md").read_text())) == {version}
    assert KUSTOMIZATION["images"] == [{"name": CONTAINER["image"], "newTag": version}]


# The command


@pytest.mark.parametrize("place", ["image", "compose", "kubernetes"])
def test_what_is_started_can_be_started(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = commands()[place]
    assert command[0] == "serve"
    assert option(command, "--host") == "0.0.0.0"
    assert option(command, "--config") == "/etc/homing/config.yaml"
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out
    assert main([*command[:2], "none.yaml", *command[3:]]) == 2
    assert "none.yaml: can't be read" in capsys.readouterr().err


def test_nothing_is_ended_by_force_before_its_time() -> None:
    compose, kubernetes = (int(option(commands()[place], "--grace")) for place in ("compose", "kubernetes"))
    assert int(COMPOSE["services"]["homing"]["stop_grace_period"].removesuffix("s")) >= compose + 5
    assert int(COMPOSE["services"]["balancer"]["stop_grace_period"].removesuffix("s")) >= compose
    before = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] >= before + kubernetes + 5


# The configuration


def variables() -> set[str]:
    """What the configuration refers to."""
    return set(re.findall(r"os\.environ/(\w+)", re.sub(r"#.*", "", CONFIG.read_text())))


def example() -> dict[str, str]:
    """The example of `.env`."""
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_configuration_is_right(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in variables():
        monkeypatch.setenv(name, "https://contoso.example.com" if name.endswith("BASE") else KEY)
    monkeypatch.setenv("REDIS_URL", COMPOSE["services"]["homing"]["environment"]["REDIS_URL"])
    assert main(["check", str(CONFIG), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["master_key"], found["redis"], found["notes"]) == (True, True, [])
    assert found["checks"] == ["ResponsesApiDeployment"]


def test_every_variable_is_given_and_no_secret_is_shipped() -> None:
    assert variables() - set(example()) == {"REDIS_URL"}
    assert set(example()) <= variables()
    assert not any(example().values())
    assert "REDIS_URL" in COMPOSE["services"]["homing"]["environment"]
    assert "REDIS_URL" in {each["name"] for each in CONTAINER["env"]}
    assert "deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_without_a_master_key_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMPOSE["services"]["homing"]["environment"]["MASTER_KEY"].startswith("${MASTER_KEY:?")
    for name in variables():
        monkeypatch.setenv(name, "https://contoso.example.com" if name.endswith("BASE") else f"redis://{KEY}")
    for empty in (True, False):
        monkeypatch.setenv("MASTER_KEY", "")
        if not empty:
            monkeypatch.delenv("MASTER_KEY")
        assert main(["serve", "--config", str(CONFIG), "--host", "0.0.0.0", "--port", "0"]) == 2
        assert "general_settings.master_key: " in capsys.readouterr().err


# Compose


def test_the_services_fit_each_other() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services) - {name}
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
    build = services["homing"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert services["homing"]["deploy"]["replicas"] == "${HOMING_REPLICAS:-2}"
    assert [name for name, service in services.items() if "ports" in service] == ["balancer"]
    assert set(services["redis"]["networks"]) == {"back"}
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert "--appendonly" in services["redis"]["command"]


def test_the_balancer_finds_the_replicas_and_asks_whether_they_are_ready() -> None:
    text = (DEPLOY / "haproxy.cfg").read_text()
    port = option(commands()["compose"], "--port")
    assert f"homing:{port} resolvers docker" in text
    assert "http-check send meth GET uri /health/readiness" in text
    assert re.search(r"bind :(\d+)", text)[1] == COMPOSE["services"]["balancer"]["ports"][0].rpartition(":")[2]  # type: ignore[index]  # found


# Kubernetes


@pytest.mark.parametrize("name", sorted(name for name in MANIFESTS if not name.startswith("ServiceMonitor/")))
@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_manifests_are_what_kubernetes_takes(name: str, version: str) -> None:
    validate(MANIFESTS[name], version, strict=True)


def test_the_schemas_refuse_what_is_wrong() -> None:
    wrong = json.loads(json.dumps(MANIFESTS["Deployment/homing"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(wrong, "1.37", strict=True)


def test_what_kustomize_reads_is_there() -> None:
    text = (DEPLOY / "kustomization.yaml").read_text()
    optional = re.findall(r"^  # - (kubernetes/\S+)$", text, re.MULTILINE)
    listed = {*KUSTOMIZATION["resources"], *optional}
    assert listed == {f"kubernetes/{path.name}" for path in (DEPLOY / "kubernetes").iterdir()}
    (made,) = KUSTOMIZATION["configMapGenerator"]
    assert all((DEPLOY / name).is_file() for name in made["files"])
    assert POD["volumes"][0]["configMap"]["name"] == made["name"]
    (secret,) = KUSTOMIZATION["secretGenerator"]
    assert secret["envs"] == [".env"]
    assert CONTAINER["envFrom"] == [{"secretRef": {"name": secret["name"]}}]
    monitor = MANIFESTS["ServiceMonitor/homing"]["spec"]["endpoints"][0]["authorization"]["credentials"]
    assert monitor == {"name": secret["name"], "key": "MASTER_KEY"}


def selectors(value: Any) -> Iterator[dict[str, str]]:
    """Every selector of pods in a manifest."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "matchLabels":
                yield each
            yield from selectors(each)
    elif isinstance(value, list):
        for each in value:
            yield from selectors(each)


def test_every_selector_finds_pods_of_ours_and_of_nobody_else() -> None:
    labels = [
        each["spec"]["template"]["metadata"]["labels"] for each in MANIFESTS.values() if "template" in each["spec"]
    ]
    services = [each["spec"]["selector"] for each in MANIFESTS.values() if each["kind"] == "Service"]
    found = [*services, *selectors(list(MANIFESTS.values()))]
    assert len(found) >= 8
    for selector in found:
        assert selector["app.kubernetes.io/name"] == "homing-router"
        assert selector in labels


def test_pods_are_probed_and_have_no_rights() -> None:
    paths = {name: CONTAINER[name]["httpGet"]["path"] for name in CONTAINER if name.endswith("Probe")}
    alive = "/health/liveness"
    assert paths == {"startupProbe": alive, "livenessProbe": alive, "readinessProbe": "/health/readiness"}
    for pod in PODS.values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["resources"]["requests"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    assert f"{POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}" == instructions("USER")[0]


def test_two_replicas_are_there_at_least_and_one_goes_at_a_time() -> None:
    assert MANIFESTS["HorizontalPodAutoscaler/homing"]["spec"]["minReplicas"] == 2
    assert "replicas" not in MANIFESTS["Deployment/homing"]["spec"], "each apply would undo what the autoscaler did"
    assert MANIFESTS["PodDisruptionBudget/homing"]["spec"]["maxUnavailable"] == 1
    assert MANIFESTS["Deployment/homing"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    port = MANIFESTS["Service/homing-redis"]["spec"]["ports"][0]["port"]
    assert {"name": "REDIS_URL", "value": f"redis://homing-redis:{port}/0"} in CONTAINER["env"]


# Two replicas


def test_a_conversation_goes_on_at_the_other_replica(tmp_path: Path) -> None:
    redis = Server(tmp_path / "redis").start()
    with ExitStack() as stack:
        stack.callback(redis.kill)
        azure, openai = (stack.enter_context(SimulatedUpstream.in_thread(name)) for name in ("azure", "openai"))
        environ = {
            "MASTER_KEY": KEY,
            "AZURE_API_BASE": azure.url,
            "AZURE_API_KEY": "k",
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": f"{openai.url}/v1",
            "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        }
        command = commands()["compose"]
        options = [part for part in command[3:] if part not in ("--host", "0.0.0.0", "--port", "4000")]
        replicas = [stack.enter_context(homing_serve(CONFIG, *options, environ=environ)) for _ in range(2)]
        clients = [stack.enter_context(OpenAI(base_url=f"{each.url}/v1", api_key=KEY)) for each in replicas]
        for number in range(10):
            here, there = clients if number % 2 else reversed(clients)
            first = here.responses.create(model="gpt-5", input=f"I am number {number}.")
            place = first.output_text.split(" at ")[1].split(".")[0]
            second = there.responses.create(model="gpt-5", input="Who am I?", previous_response_id=first.id)
            assert second.output_text.startswith(f"Turn 2 at {place}")
            assert f"I am number {number}." in second.output_text
        the_images_health_check_finds_it(replicas[0])
        for replica in replicas:
            it_tells_how_it_is(replica)
            assert replica.end(signal.SIGTERM) == 0


def it_tells_how_it_is(replica: Serving) -> None:
    command = ["curl", "-sS", "--fail"]
    ready = subprocess.run(
        [*command, f"{replica.url}/health/readiness"], capture_output=True, timeout=PATIENCE, check=True
    )
    assert json.loads(ready.stdout) == {
        "status": "ready",
        "deployments": {"usable": 2, "all": 2},
        "redis": "connected",
    }
    counted = subprocess.run(
        [*command, f"{replica.url}/metrics", "-H", f"authorization: Bearer {KEY}"],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert b"homing_requests_total" in counted.stdout
    assert KEY not in "\n".join(replica.said)


def the_images_health_check_finds_it(replica: Serving) -> None:
    command: list[str] = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    assert option(commands()["image"], "--port") == "4000"
    for port, code in ((replica.url.rpartition(":")[2], 0), ("9", 1)):
        asked = [sys.executable, *(part.replace("4000", port) for part in command[1:])]
        assert subprocess.run(asked, capture_output=True, timeout=PATIENCE, check=False).returncode == code

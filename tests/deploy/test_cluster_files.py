"""The files for several gateways are what the programs they are for accept, and agree with ours."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from shared.config.draft import ENVIRONMENT
from shared.config.schema import Server
from tests.deploy.dockerfile import stages
from tests.support.tls import make_certificate

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "deploy" / "cluster"
KUBERNETES = ROOT / "deploy" / "kubernetes"
IMAGE = stages((ROOT / "Dockerfile").read_text())[-1]
DRAIN_SECONDS = Server().drain_seconds
STATE = ("POSTGRES_PASSWORD", "THINKBACK_HOST")
"""What only the compose file itself reads."""


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def needs(program: str) -> None:
    if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
        pytest.skip(f"{program} is not installed")


def accepted(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """What the program prints when it takes the file."""
    done = subprocess.run(
        command,
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "HOME": "/tmp", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    needs("haproxy")
    pem = make_certificate(tmp_path, tmp_path / "authority.pem")
    text = (CLUSTER / "haproxy.cfg").read_text()
    certificate = "/etc/ssl/thinkback/think.example.com.pem"
    assert certificate in text
    file = tmp_path / "haproxy.cfg"
    file.write_text(text.replace(certificate, str(pem)))
    accepted("haproxy", "-c", "-q", "-f", file)


def test_caddy_takes_its_file() -> None:
    needs("caddy")
    printed = accepted(
        "caddy", "adapt", "--adapter", "caddyfile", "--config", CLUSTER / "Caddyfile"
    )
    assert re.findall(r'"dial":"(.*?)"', printed) == ["gateway-1:8787", "gateway-2:8787"]


def test_no_balancer_sends_a_request_again_that_may_have_been_paid_for() -> None:
    haproxy = (CLUSTER / "haproxy.cfg").read_text()
    assert re.findall(r"^\s+retry-on (.*)$", haproxy, re.MULTILINE) == ["conn-failure"]
    assert "lb_retry_match" not in (CLUSTER / "Caddyfile").read_text()


def test_kustomize_makes_manifests_of_which_each_names_what_is_there() -> None:
    needs("kubectl")
    printed = accepted("kubectl", "kustomize", KUBERNETES)
    manifests = list(YAML(typ="safe").load_all(printed))
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    [deployment] = [one for one in manifests if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]
    for source in pod["spec"]["containers"][0]["envFrom"]:
        for reference, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if reference in source:
                assert (kind, source[reference]["name"]) in names
    labels = pod["metadata"]["labels"].items()
    for one in manifests:
        match one["kind"]:
            case "Service":
                assert one["spec"]["selector"].items() <= labels
            case "PodDisruptionBudget":
                assert one["spec"]["selector"]["matchLabels"].items() <= labels
            case "HorizontalPodAutoscaler":
                target = one["spec"]["scaleTargetRef"]
                assert (target["kind"], target["name"]) in names
    assert {one["metadata"].get("namespace") for one in manifests[1:]} == {"thinkback"}


def test_a_pod_has_the_time_and_the_places_that_a_gateway_needs() -> None:
    pod = yaml(KUBERNETES / "deployment.yaml")["spec"]["template"]["spec"]
    [gateway] = pod["containers"]
    pause = int(gateway["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + pause + 10
    assert [str(gateway["ports"][0]["containerPort"])] == IMAGE.all("EXPOSE")
    places = {mount["mountPath"] for mount in gateway["volumeMounts"]}
    assert {*IMAGE.all("VOLUME"), "/tmp"} == places
    user = pod["securityContext"]
    assert IMAGE.all("USER") == [f"{user['runAsUser']}:{user['runAsGroup']}"]
    probed = {
        name: gateway[f"{name}Probe"]["httpGet"]["path"] for name in ("readiness", "liveness")
    }
    assert probed == {"readiness": "/readyz", "liveness": "/healthz"}


def test_compose_gives_both_gateways_one_database_and_one_secret() -> None:
    compose = yaml(CLUSTER / "compose.yaml")
    gateways = [one for name, one in compose["services"].items() if name.startswith("gateway")]
    assert len(gateways) == 2
    for shared in ("environment", "secrets", "image", "build", "stop_grace_period"):
        assert gateways[0][shared] == gateways[1][shared]
    assert gateways[0]["volumes"] != gateways[1]["volumes"]
    minutes, seconds = map(int, re.findall(r"\d+", gateways[0]["stop_grace_period"]))
    assert minutes * 60 + seconds >= DRAIN_SECONDS + 10
    assert gateways[0]["build"] == "../.."
    assert (
        gateways[0]["environment"]["TRUSTED_PROXIES"]
        == (compose["networks"]["inner"]["ipam"]["config"][0]["subnet"])
    )
    assert all(one["networks"] == ["inner"] for one in compose["services"].values())


def test_every_variable_is_one_that_the_gateway_reads() -> None:
    known = {*ENVIRONMENT, "SECRET_KEY", "SECRET_KEY_FILE"}
    for file in ("settings.env", "secrets.env"):
        lines = (KUBERNETES / file).read_text().splitlines()
        assert {line.partition("=")[0] for line in lines} <= known
    environment = yaml(CLUSTER / "compose.yaml")["services"]["gateway-1"]["environment"]
    assert set(environment) <= known
    text = (CLUSTER / "compose.yaml").read_text()
    assert {*re.findall(r"\$\{(\w+)", text)} == {*STATE}

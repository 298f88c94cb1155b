"""The files of docker/: valid, bounded, closed to the outside, without secrets, and true to the platform's own settings. Nothing is started."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from lakehouse.cli.instance import TEMPLATE
from lakehouse.settings import PREFIX, Settings
from tests.compose_file import DOCKER, compose, environment, filled

SERVICES = compose()["services"]
LASTING = [name for name in SERVICES if name != "bucket"]  # that one makes a bucket and is done
EXAMPLE = dict(line.split("=", 1) for line in (DOCKER / ".env.example").read_text().splitlines() if re.match(r"\w+=", line))
CHOSEN = {**EXAMPLE, "AWS_SECRET_ACCESS_KEY": "s", "POSTGRES_PASSWORD": "p"}


def test_the_compose_file_is_one_by_the_specification() -> None:
    compose_spec.PyCompose.from_json(json.dumps(compose())).to_spec()


def has_compose() -> bool:
    return shutil.which("docker") is not None and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="no docker compose here")
def test_docker_compose_takes_the_file_with_variables_and_without_says_which(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("".join(f"{name}={value}\n" for name, value in CHOSEN.items()))
    command = ["docker", "compose", "-f", str(DOCKER / "compose.yaml"), "--profile", "cluster", "--env-file"]
    assert subprocess.run([*command, str(tmp_path / "env"), "config", "-q"], check=False).returncode == 0
    told = subprocess.run([*command, str(DOCKER / ".env.example"), "config", "-q"], capture_output=True, text=True, check=False)
    assert told.returncode != 0 and "choose one in docker/.env" in told.stderr


def test_who_waits_until_another_is_well_waits_for_one_that_has_a_check() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
            else:
                assert SERVICES[name]["restart"] == "no"  # it ends, and is not started again
            assert set(SERVICES[name].get("profiles", ())) <= set(service.get("profiles", ()))


@pytest.mark.parametrize("name", LASTING)
def test_each_service_is_checked_bounded_pinned_kept_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert set(service["deploy"]["resources"]["limits"]) == {"memory"}  # more processors than the machine has are refused by Docker
    assert re.fullmatch(r"[\w./-]+:\d[\w.-]+", service["image"])
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]
    assert {volume.split(":")[0] for volume in service["volumes"]} <= set(compose()["volumes"])


def test_the_object_store_is_full_when_the_disk_is_and_not_before() -> None:
    assert "-volume.max=0" in SERVICES["s3"]["command"]


def test_only_loopback_is_published() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_come_from_the_file_of_variables_and_have_no_default() -> None:
    for name, service in SERVICES.items():
        for variable, value in service["environment"].items():
            if re.search("SECRET|PASSWORD", variable) and value is not None:
                assert re.fullmatch(r"\$\{\w+:\?.*\}", value), f"{name}: {variable}"
    assert {name for name, value in EXAMPLE.items() if not value} == {"AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD"}
    with pytest.raises(KeyError, match="AWS_SECRET_ACCESS_KEY"):
        environment("engine", EXAMPLE, {})


def test_every_variable_of_the_file_stands_in_the_example_and_the_other_way_round() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    passed = {name for service in SERVICES.values() for name, value in service["environment"].items() if value is None}
    named = set(re.findall(r"(?m)^#?(\w+)=", (DOCKER / ".env.example").read_text()))
    assert used <= named <= used | passed


def test_every_setting_is_passed_on_or_set_or_means_nothing_in_containers() -> None:
    told = {name for service in SERVICES.values() for name in service["environment"]}
    of_the_image = {"home", "contracts", "dbt_project"}  # folders in it: one's own are mounted over them
    assert {name.removeprefix(PREFIX).lower() for name in told if name.startswith(PREFIX)} == set(Settings.model_fields) - of_the_image
    assert told >= {"PGUSER", "PGPASSWORD", "PGPASSFILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE"}


def test_a_setting_of_the_file_of_variables_comes_to_the_services_that_read_it_and_only_where_it_is_set() -> None:
    chosen = {**CHOSEN, "LAKEHOUSE_ALERT_TO": "a@example.com", "LAKEHOUSE_KAFKA_BROKERS": "k:1", "AWS_CA_BUNDLE": "/ca"}
    for name in ("code", "daemon", "webserver"):
        told = environment(name, chosen, {})
        assert (told["LAKEHOUSE_ALERT_TO"], told["LAKEHOUSE_KAFKA_BROKERS"], told["AWS_CA_BUNDLE"]) == ("a@example.com", "k:1", "/ca")
        assert "LAKEHOUSE_ALERT_TO" not in environment(name, CHOSEN, {})


@pytest.mark.parametrize("name", [n for n, s in SERVICES.items() if s["image"].startswith("lakehouse")])
def test_our_services_are_given_settings_that_there_are_and_run_without_privileges(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = environment(name, CHOSEN, {})
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    assert {v.removeprefix(PREFIX).lower() for v in told if v.startswith(PREFIX)} <= set(Settings.model_fields)
    assert Settings().uses_s3
    assert SERVICES[name]["cap_drop"] == ["ALL"]


class _Reset(yaml.SafeLoader):
    """Reads what Compose takes away: `!reset` is a text."""


_Reset.add_constructor("!reset", lambda *_: "reset")


@pytest.mark.parametrize(
    ("file", "keys"),
    [("compose.aws.yaml", {"AWS_SESSION_TOKEN": None}), ("compose.role.yaml", {"AWS_ACCESS_KEY_ID": "reset", "AWS_SECRET_ACCESS_KEY": "reset"})],
)
def test_with_another_object_store_nobody_starts_or_waits_for_ours(file: str, keys: dict[str, str | None]) -> None:
    changed = yaml.load((DOCKER / file).read_text(), _Reset)["services"]
    out = {name for name, service in changed.items() if service.get("profiles") == ["never"]}
    assert out == {"s3", "bucket"}
    ours = {name for name, service in SERVICES.items() if service["image"].startswith("lakehouse")} - out
    assert {name for name, service in changed.items() if service.get("environment") == keys} == ours
    waiting = {name for name, service in SERVICES.items() if out & set(service.get("depends_on", {}))} - out
    assert {name for name, service in changed.items() if service.get("depends_on") == "reset"} == waiting
    assert not [name for name in waiting if set(SERVICES[name]["depends_on"]) - out]  # nothing else is reset with it


def test_a_variable_is_filled_in_as_compose_does() -> None:
    assert [filled(text, {"A": "1", "E": ""}) for text in ("${A:-2}", "${B:-2}", "${E:-2}", "${E-2}", "x${A}y")] == ["1", "2", "2", "", "x1y"]


def test_dagsters_settings_are_the_lakes_own_with_another_storage() -> None:
    ours, theirs = (yaml.safe_load(file.read_text()) for file in (TEMPLATE, DOCKER / "dagster.yaml"))
    assert theirs.pop("storage")["postgres"]["postgres_db"]["password"] == {"env": "DAGSTER_POSTGRES_PASSWORD"}
    assert theirs == ours


def test_the_image_is_well_made() -> None:
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    stages = (DOCKER / "Dockerfile").read_text().split("\nFROM ")[1:]
    assert len(stages) == 2
    assert re.search(r"^USER [1-9]\d+$", stages[1], re.M)
    assert "HEALTHCHECK" in stages[1]
    assert all(re.match(r"python:3\.11\.\d+-", stage) for stage in stages)


MANIFESTS = list(yaml.safe_load_all((DOCKER / "kubernetes" / "lakehouse.yaml").read_text()))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_the_manifests_are_ones_by_kubernetes_schemas(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_pods_run_the_commands_of_the_compose_file_bounded_and_without_privileges() -> None:
    pods = [m["spec"]["template"]["spec"] for m in MANIFESTS if "template" in m.get("spec", {})]
    own = {"$(POD_IP)": "", "2": "", "5g": "", "1": "", "1g": "", "spark-master": "", "spark-worker-1": "", "spark-worker-2": ""}
    composed = [[own.get(w, w) for w in service["command"]] for service in SERVICES.values() if service["image"].startswith("lakehouse")]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert [own.get(w, w) for w in container["args"]] in composed
            assert container["image"] == SERVICES["engine"]["image"]
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_where_a_pod_mounts_files_it_has_a_folder_that_it_may_write_to() -> None:
    for manifest in MANIFESTS:
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            mounts = container["volumeMounts"]
            folders = {mount["mountPath"] for mount in mounts if "subPath" not in mount}
            assert {str(Path(mount["mountPath"]).parent) for mount in mounts if "subPath" in mount} <= folders


def test_what_a_master_knows_is_kept_when_its_container_or_pod_goes() -> None:
    (master,) = (m["spec"]["template"]["spec"] for m in MANIFESTS if m["kind"] == "Deployment" and m["metadata"]["name"] == "spark-master")
    claims = [m["metadata"]["name"] for m in MANIFESTS if m["kind"] == "PersistentVolumeClaim"]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in master["volumes"]] == claims
    assert SERVICES["spark-master"]["volumes"] == ["spark-master:/data"]


def test_settings_in_the_manifests_are_settings() -> None:
    texts = [m.get("data", {}) for m in MANIFESTS if m["kind"] == "ConfigMap"]
    texts += [{e["name"]: ""} for m in MANIFESTS if m["kind"] == "StatefulSet" for e in m["spec"]["template"]["spec"]["containers"][0]["env"]]
    names = {name.removeprefix(PREFIX).lower() for text in texts for name in text if name.startswith(PREFIX)}
    assert len(names) > 10
    assert names <= set(Settings.model_fields)

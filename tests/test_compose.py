"""docker-compose.yml: the same roles, queues and commands as the supervisor's, and no secret."""

import os
import re
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml

from timelapser.embedded.up import beat_command, web_command
from timelapser.queues import POOLS, QUEUES, worker_command

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name not in ("postgres", "redis")}
SECRETS = ("POSTGRES_PASSWORD", "TIMELAPSER_SECRET_KEY", "TIMELAPSER_SEALING_KEYS")


def as_in_image(command):
    return ["python" if word == sys.executable else word for word in command]


@pytest.mark.parametrize("pool", POOLS.values(), ids=lambda pool: pool.name)
def test_pool_has_service_with_the_command_of_the_supervisor(pool):
    assert SERVICES[f"worker-{pool.name}"]["command"] == as_in_image(worker_command(pool))


def test_worker_services_are_the_pools():
    assert {name for name in SERVICES if name.startswith("worker-")} == {f"worker-{name}" for name in POOLS}


def test_each_queue_is_served_by_one_service():
    served = [
        queue
        for name, service in SERVICES.items()
        if name.startswith("worker-")
        for queue in service["command"][service["command"].index("--queues") + 1].split(",")
    ]
    assert sorted(served) == sorted(QUEUES)


def test_web_and_beat_run_the_commands_of_the_supervisor():
    assert SERVICES["web"]["command"] == as_in_image(web_command("0.0.0.0", 8000))
    assert SERVICES["beat"]["command"] == as_in_image(beat_command())


def test_beat_runs_once():
    assert "deploy" not in SERVICES["beat"]
    assert "scale" not in SERVICES["beat"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_service_comes_back_and_says_whether_it_works(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["healthcheck"]["test"]
    assert re.fullmatch(r"\d+s", service["stop_grace_period"])


@pytest.mark.parametrize("name", sorted(set(OURS) - {"migrate"}))
def test_service_waits_for_the_migrations(name):
    assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_broker_forgets_nothing():
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


@pytest.mark.parametrize("name", SECRETS)
def test_secret_comes_from_the_environment_and_must_be_given(name):
    environments = [service.get("environment", {}) for service in SERVICES.values()]
    values = [str(value) for values in environments for value in values.values() if f"{{{name}" in str(value)]
    assert values
    assert all(f"${{{name}:?" in value for value in values)


def test_files_hold_no_secret_value():
    example = (ROOT / ".env.example").read_text()
    for name in SECRETS:
        assert re.search(rf"^{name}=$", example, re.MULTILINE)
    image = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"^(ENV|ARG)\b.*(SECRET|SEALING|PASSWORD)", image, re.MULTILINE)


def test_every_variable_is_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    described = set(re.findall(r"^#? ?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used == described


def described_settings():
    """The names of the tables in the documentation for those who run it, and their defaults."""
    text = (ROOT / "docs" / "configuration.md").read_text().partition("## For tests")[0]
    for line in re.findall(r"^\| `TIMELAPSER_.*", text, re.MULTILINE):
        names, defaults = line.split("|")[1:3]
        yield from zip_longest(re.findall(r"`(\w+)`", names), re.findall(r"`([^`]*)`|none", defaults))


def test_every_documented_setting_reaches_every_container():
    fixed = {"TIMELAPSER_DATA", "TIMELAPSER_MEDIA", "TIMELAPSER_STATIC"}  # places in the image: Dockerfile
    never = {"TIMELAPSER_DEBUG", "TIMELAPSER_SITE"}  # for developers; for `up`, which containers do not run
    settings = {name for name, _ in described_settings() if name}
    assert len(settings) > 25

    for name, service in OURS.items():
        assert set(service["environment"]) == settings - fixed - never, name
    image = (ROOT / "Dockerfile").read_text()
    assert all(re.search(rf"^ *(?:ENV )?{name}=", image, re.MULTILINE) for name in fixed)


def test_defaults_are_the_documented_ones():
    own = {*SECRETS, "TIMELAPSER_DATABASE_URL", "TIMELAPSER_REDIS_URL", "TIMELAPSER_ALLOWED_HOSTS"}
    own.add("TIMELAPSER_LOG_JSON")  # containers' logs are read by programs
    given = SERVICES["web"]["environment"]
    for name, default in described_settings():
        if name in given and name not in own:
            assert given[name] == f"${{{name}:-{default or ''}}}"


def test_image_takes_the_sources_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    taken = {line.removeprefix("!") for line in lines if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages <= taken
    assert not taken & {"data", "tests", ".env", ".git", ".venv"}


def test_image_runs_as_an_ordinary_user_from_hashed_requirements():
    image = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in image
    assert image.rindex("\nUSER timelapser") < image.rindex("\nCMD")


def compose_client():
    """`docker compose`, or the older `docker-compose`; None where neither is."""
    if (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


@pytest.mark.skipif(compose_client() is None, reason="no docker client with compose")
@pytest.mark.parametrize("missing", [None, *SECRETS])
def test_docker_compose_accepts_the_file_when_all_secrets_are_given(missing):
    given = {name: "x" for name in SECRETS if name != missing}
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS} | given
    done = subprocess.run(
        [*compose_client(), "--file", str(ROOT / "docker-compose.yml"), "config"],
        capture_output=True,
        env=environment,
        text=True,
    )
    assert (done.returncode == 0) == (missing is None), done.stderr
    if missing is None:
        assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)
    else:
        assert "set it in .env" in done.stderr

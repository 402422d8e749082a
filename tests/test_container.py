"""The container's files, read as a linter would: no test here can build them."""

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def steps():
    """The Dockerfile as (instruction, rest) pairs, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"(?m)^\s*#.*\n", "", text).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def final(steps):
    """The instructions of the image that runs."""
    last = max(i for i, (name, _) in enumerate(steps) if name == "FROM")
    return steps[last:]


@pytest.fixture(scope="module")
def service():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["facecctv"]


def of(steps, name):
    return [rest for instruction, rest in steps if instruction == name]


def test_bases_are_pinned_to_a_release(steps):
    bases = of(steps, "FROM")
    assert len(bases) == 3
    for base in bases:
        assert re.match(r"python:\d+\.\d+\.\d+-slim-\w+( AS \w+)?$", base), base


def test_the_image_runs_without_rights(final):
    [user] = of(final, "USER")
    uid, gid = map(int, user.split(":"))
    assert uid >= 10_000
    assert gid >= 10_000
    names = [name for name, _ in final]
    assert names.index("USER") < names.index("ENTRYPOINT") < names.index("CMD")
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")


def test_health_is_asked_of_healthz_over_tls(final):
    [check] = of(final, "HEALTHCHECK")
    command = json.loads(check.partition(" CMD ")[2])
    compile(command[-1], "healthcheck", "exec")
    assert "https://localhost:8443/healthz" in command[-1]


def test_commands_take_no_shell(final):
    for name in ("ENTRYPOINT", "CMD"):
        [rest] = of(final, name)
        assert isinstance(json.loads(rest), list)


def test_it_is_never_plain_http(final, service):
    [command] = of(final, "CMD")
    for arguments in (json.loads(command), service["command"]):
        assert arguments[arguments.index("--tls") + 1] == "auto"


def test_nothing_is_fetched_but_by_pip(steps):
    assert of(steps, "ADD") == []
    for run in of(steps, "RUN"):
        assert not re.search(r"\b(curl|wget|sudo|apt-get|apt)\b", run), run
        assert "pip install" not in run or "--no-cache-dir" in run


def test_only_the_installation_gets_into_the_image(final):
    assert of(final, "COPY") == ["--from=install /opt/facecctv /opt/facecctv"]


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", ".dockerignore"])
def test_no_secret_and_no_host_of_ours_is_inside(file):
    text = (ROOT / file).read_text()
    assert not re.search(r"(?i)password|secret|token|api[_-]?key|index-url|BEGIN ", text)
    for address in re.findall(r"https?://([^/:'\"\s]+)", text):
        assert address == "localhost"


def test_what_is_sent_to_the_builder_is_a_list_of_what_is_needed():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    for kept in (line[1:] for line in patterns if line.startswith("!")):
        assert (ROOT / kept).exists(), kept


def test_the_service_can_write_next_to_nothing(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all("noexec" in mount for mount in service["tmpfs"])
    assert service["volumes"] == ["certificates:/data"]
    assert "privileged" not in service
    assert service["memswap_limit"] == service["mem_limit"]


def test_the_service_is_reached_from_this_machine_only(service):
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])

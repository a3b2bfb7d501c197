"""`deploy/`: whether the image, the compose file and the proxies name what there is, and agree with each other."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

import server

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PROXIES = ("nginx.conf", "apache.conf", "haproxy.cfg", "Caddyfile")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def instructions(name: str) -> list[str]:
    """Return the arguments of each instruction `name` of the Containerfile, with its lines joined."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text))
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.partition(" ")[0] == name]


def bind_mounts(service: dict[str, Any]) -> dict[str, str]:
    return dict(volume.split(":")[:2] for volume in service["volumes"])


def test_the_services_are_the_console_and_its_coturn(composed: dict[str, Any]) -> None:
    assert composed.keys() == {"services", "secrets", "volumes"}
    assert composed["services"].keys() == {"console", "coturn"}


def test_what_is_mounted_is_there_or_declared(composed: dict[str, Any]) -> None:
    for service in composed["services"].values():
        for source in bind_mounts(service):
            if source.startswith("./"):
                assert (DEPLOY / source).is_file(), source
            elif not source.startswith("/"):
                assert source in composed["volumes"], source
        assert set(service.get("secrets", ())) <= composed["secrets"].keys()
    build = composed["services"]["console"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def test_the_image_is_where_the_service_looks_for_it(composed: dict[str, Any]) -> None:
    console = composed["services"]["console"]
    [port], [entry], [_, *rest] = instructions("EXPOSE"), instructions("ENTRYPOINT"), instructions("WORKDIR")
    command = [*json.loads(entry), *console["command"]]
    options = server._parser().parse_args(command[2:])
    assert (str(options.port), command[1]) == (port, "server.py")
    assert console["ports"] == [f"127.0.0.1:{port}:{port}"]
    mounts = bind_mounts(console)
    assert str(options.config) in mounts.values()
    assert [volume for volume in mounts.values() if options.journal.is_relative_to(volume)] == instructions("VOLUME")
    assert rest == ["/opt/ice-console"]
    asked = console["healthcheck"]["test"]
    assert asked[0] == command[0]
    assert f"http://127.0.0.1:{port}/healthz" in asked[-1]
    compile(asked[-1], "healthcheck", "exec")
    assert int(console["stop_grace_period"].removesuffix("s")) > options.drain


def test_a_secret_is_where_the_configuration_looks_for_it(composed: dict[str, Any]) -> None:
    [secret] = composed["services"]["console"]["secrets"]
    assert f'"/run/secrets/{secret}"' in (DEPLOY / "ice.toml").read_text(encoding="utf-8")


def test_the_build_runs_what_there_is() -> None:
    run = " && ".join(instructions("RUN"))
    for file in re.findall(r"node (\S+)", run):
        if file.endswith(".mjs"):
            assert (ROOT / file).is_file(), file
    assert "runtime/build/build.mjs" in run


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_asks_where_the_server_listens(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    options = server._parser().parse_args([])
    assert {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)} == {options.port}


def test_paths_of_health_are_of_the_server() -> None:
    """What the proxies, the compose file and the unit ask is answered."""
    text = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.iterdir())
    known = (ROOT / "backend/web/server.py").read_text(encoding="utf-8")
    for path in set(re.findall(r"/(?:healthz|readyz)", text)):
        assert f'"{path}"' in known


@pytest.mark.parametrize("name", ["compose.yaml", "ice-console.service"])
def test_the_commands_in_comments_are_understood(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    comments = re.sub(r"\\\n# *", " ", text)
    commands = [shlex.split(line) for line in re.findall(r"(?m)^#.*server\.py (.*)$", comments)]
    assert commands
    for command in commands:
        options = server._parser().parse_args(command)
        assert options.command == "invite"
        assert str(options.journal) == "/var/lib/ice-console/journal"

"""`deploy/`: what of it can be tried without a service manager, without a container engine and without a proxy."""

import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import server
from backend.ice.ice_servers import read_ice_servers

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"


def unit(folder: Path) -> Path:
    """Return the unit, with the console where it is here."""
    text = (DEPLOY / "ice-console.service").read_text()
    path = folder / "ice-console.service"
    path.write_text(text.replace("/opt/ice-console", str(ROOT)).replace("User=ice-console", "User=daemon"))
    return path


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit(tmp_path))], capture_output=True, text=True, check=False
    )
    said = [line for line in checked.stderr.splitlines() if "ice-console.service" in line]
    assert said == []


def test_the_unit_leaves_little_exposed(tmp_path: Path) -> None:
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit(tmp_path))],
        check=True,
        capture_output=True,
    )


def options(command: list[str]) -> list[str]:
    return command[next(index for index, word in enumerate(command) if word.endswith("server.py")) + 1 :]


def test_the_server_understands_what_it_is_started_with() -> None:
    started = re.findall(r"(?m)^ExecStart=(.*)$", (DEPLOY / "ice-console.service").read_text())
    image = re.findall(r"(?m)^ENTRYPOINT \[(.*)\]$", (DEPLOY / "Containerfile").read_text())
    composed = re.findall(r"(?m)command: \[(.*--config.*)\]$", (DEPLOY / "compose.yaml").read_text())
    [unit_line], [entry_point], [command] = started, image, composed
    words = [shlex.split(unit_line), shlex.split((entry_point + ", " + command).replace(", ", " "))]
    for one in words:
        parsed = server._parser().parse_args(options(one))
        assert parsed.drain == 60
        assert str(parsed.config) == "/etc/ice-console/ice.toml"
        assert str(parsed.journal) == "/var/lib/ice-console/journal"


def test_the_image_is_made_of_files_that_there_are() -> None:
    lines = re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", (DEPLOY / "Containerfile").read_text())
    names = [name for line in lines for name in line.split()]
    assert {"server.py", "backend", "pyapp", "runtime", "static", "index.html"} <= set(names)
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    for name in names:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in sent, name


def test_the_configuration_can_be_read_and_its_secret_be_put_anywhere(tmp_path: Path) -> None:
    (tmp_path / "turn").write_text("s3cret\n")
    path = tmp_path / "ice.toml"
    path.write_text((DEPLOY / "ice.toml").read_text().replace("/run/secrets/turn", str(tmp_path / "turn")))
    [configured] = read_ice_servers(path).servers
    assert configured.secret == "s3cret"


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_coturn_understands_its_configuration(tmp_path: Path, port: int) -> None:
    turnserver = shutil.which("turnserver", path="/usr/bin:/usr/sbin:/usr/local/bin")
    assert turnserver, "run 'make setup-test'"
    text = (DEPLOY / "turnserver.conf").read_text().replace("listening-port=3478", f"listening-port={port}", 1)
    path = tmp_path / "turnserver.conf"
    path.write_text(re.sub(r"(?m)^(cert|pkey|tls-listening-port)=.*\n", "", text) + "no-tls\nlistening-ip=127.0.0.1\n")
    with subprocess.Popen(
        [turnserver, "-c", str(path), "--pidfile=", "--userdb=:memory:"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as coturn:
        assert coturn.stdout
        said = ""
        for line in coturn.stdout:
            said += line
            if "IO method (general relay thread)" in line:
                break
        coturn.terminate()
    assert "CONFIG ERROR" not in said.upper(), said
    assert "Bad configuration" not in said, said

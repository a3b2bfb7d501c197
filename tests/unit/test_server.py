"""`server.py` as a person starts it."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

import server as server_py
from backend.access.invitations import check_invitation, existing_key
from pyapp.protocol.access import INVITATION_HEADER
from pyapp.protocol.signaling import Error, Join, Leave, Welcome, decode_server
from pyapp.protocol.wire import encode
from server import main

ROOT = Path(__file__).resolve().parents[2]
STARTED_WITHIN = 20.0
"""Seconds that a busy machine may need to start Python and to import the server."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    cleaned = {name: value for name, value in os.environ.items() if name != "ICE_CONSOLE_INVITATION_KEY"}
    return cleaned | {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONDEVMODE": "1"}


async def start(environ: dict[str, str], *arguments: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "server.py"),
        *arguments,
        cwd=folder,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    output, errors = await asyncio.wait_for(process.communicate(), server_py._STOP_WITHIN + STARTED_WITHIN)
    return process.returncode, output.decode(), errors.decode()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Do what a command line asks for in this process, where that needs none of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ICE_CONSOLE_INVITATION_KEY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as refused:
            code = int(refused.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
async def server(environ: dict[str, str], tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await start(environ, "--port", "0", "--open", folder=tmp_path)
    yield process
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def address_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    line = (await asyncio.wait_for(process.stdout.readline(), STARTED_WITHIN)).decode()
    assert line.startswith("ICE Console: http://127.0.0.1:")
    return line.removeprefix("ICE Console: ").strip()


async def expect_coturn_and_end(process: asyncio.subprocess.Process) -> None:
    address = await address_of(process)
    async with aiohttp.ClientSession() as http, http.get(address + "ice") as response:
        assert len((await response.json())["iceServers"]) == 2, "coturn is there, and has its configuration"
    process.terminate()
    code, _, errors = await finished(process)
    assert code == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_with_a_coturn_and_stops_at_once(
    server: asyncio.subprocess.Process, tmp_path: Path, number: signal.Signals
) -> None:
    address = await address_of(server)
    async with aiohttp.ClientSession() as http:
        async with http.get(address + "ice?session=demo") as response:
            body = await response.json()
        assert [url.partition(":")[0] for entry in body["iceServers"] for url in entry["urls"]] == [
            "stun",
            "turn",
            "turn",
        ]
        assert body["iceServers"][1]["username"].endswith(":demo")
        socket = await http.ws_connect(address + "ws")
        server.send_signal(number)
        message = await socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    code, output, errors = await finished(server)
    assert (code, output) == (0, "")
    assert "Traceback" not in errors
    assert (tmp_path / "state/ice-console/journal").is_dir()


@pytest.mark.parametrize("ending", ["leave", "signal", "time"])
async def test_it_drains(environ: dict[str, str], tmp_path: Path, ending: str) -> None:
    arguments = ["--port", "0", "--open", "--turn", "off", "--drain", "0.5" if ending == "time" else "60"]
    process = await start(environ, *arguments, folder=tmp_path)
    address = await address_of(process)
    async with aiohttp.ClientSession() as http:
        async with http.get(address + "readyz") as response:
            assert (response.status, await response.json()) == (200, {"status": "ready"})
        first, second = [await http.ws_connect(address + "ws") for _ in range(2)]
        await first.send_str(encode(Join("demo", "a" * 32, "b" * 32)))
        await first.receive_str(timeout=30)
        process.terminate()
        for _ in range(500):
            async with http.get(address + "readyz") as response:
                if response.status == 503:
                    break
        await second.send_str(encode(Join("other", "c" * 32, "d" * 32)))
        refusal = decode_server(await second.receive_str(timeout=30))
        assert isinstance(refusal, Error)
        assert refusal.code == "unavailable"
        assert (await second.receive(timeout=30)).data == 1012
        third = await http.ws_connect(address + "ws")
        await third.send_str(encode(Join("demo", "c" * 32, "d" * 32)))
        assert isinstance(decode_server(await third.receive_str(timeout=30)), Welcome)
        if ending == "leave":
            for socket in (first, third):
                await socket.send_str(encode(Leave()))
        elif ending == "signal":
            process.terminate()
        code, _, errors = await finished(process)
    assert code == 0
    assert "Traceback" not in errors


async def test_the_service_manager_hears_when_it_serves_that_it_lives_and_when_it_ends(
    environ: dict[str, str], tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        process = await start(environ | told, "--port", "0", "--drain", "5", folder=tmp_path)
        said: list[bytes] = []

        async def until(word: bytes) -> None:
            while not said or not said[-1].startswith(word):
                said.append(await asyncio.wait_for(loop.sock_recv(heard, 1000), 20))

        await until(b"READY=1")
        await until(b"WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        await until(b"RELOADING=1")
        await until(b"READY=1")
        process.terminate()
        await until(b"STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000")
        assert (await finished(process))[0] == 0


async def test_it_serves_on_every_address_that_it_was_told(environ: dict[str, str], tmp_path: Path) -> None:
    hosts = ["--host", "127.0.0.1", "--host", "127.0.0.2", "--host", "::1"]
    told = ["--turn-host", "turn.example", "--open"]
    process = await start(environ, "--port", "0", *hosts, *told, folder=tmp_path)
    address = await address_of(process)
    async with aiohttp.ClientSession() as http:
        for host in ("127.0.0.1", "127.0.0.2", "[::1]"):
            async with http.get(address.replace("127.0.0.1", host) + "ice") as response:
                assert (await response.json())["iceServers"][0]["urls"][0].startswith("stun:turn.example:")
    process.terminate()
    assert (await finished(process))[0] == 0


async def test_sighup_ends_nothing_and_a_bad_file_is_a_line(environ: dict[str, str], tmp_path: Path) -> None:
    config = write(tmp_path / "ice.toml", "")
    process = await start(environ, "--port", "0", "--open", "--config", str(config), folder=tmp_path)
    address = await address_of(process)
    write(config, "[[server]]\nurls = 1\n")
    process.send_signal(signal.SIGHUP)
    assert process.stderr
    async with asyncio.timeout(20):
        while b"what was there stays" not in (line := await process.stderr.readline()):
            assert line
    assert b"urls: must be a list of texts" in line
    async with aiohttp.ClientSession() as http, http.get(address + "healthz") as response:
        assert response.status == 200
    process.terminate()
    assert (await finished(process))[0] == 0


async def test_what_was_started_in_a_terminal_ends_with_it(environ: dict[str, str], tmp_path: Path) -> None:
    terminal, ours = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "server.py"), "--port", "0", "--turn", "off", "--open",
        cwd=tmp_path, env=environ, stdin=ours, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(ours)
    await address_of(process)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert (await finished(process))[0] == 0


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("way", ["bare", "closed"])
async def test_it_serves_in_the_barest_environment(tmp_path: Path, way: str) -> None:
    """No HOME, no terminal, LANG=C; or no standard streams at all, not even /dev/null."""
    command = [sys.executable, str(ROOT / "server.py"), "--port", "0", "--open", "--journal", str(tmp_path / "j")]
    redirected = '"$@" <&-' if way == "closed" else '"$@" </dev/null'
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f"exec setsid {redirected}", "sh", *command,
        cwd=tmp_path, env={"LANG": "C", "LC_ALL": "C"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await expect_coturn_and_end(process)


CLOSED = """
set -e
umask 077
mount -t tmpfs tmpfs "$1"
mount -o remount,bind,ro /
mkdir "$1/closed"
cd "$1/closed"
chmod 0 .
exec setpriv --bounding-set -all env -i PATH= "$2" "$3" --port 0 --open --journal "$1/journal"
"""


async def test_it_serves_where_it_may_write_the_journal_alone(tmp_path: Path) -> None:
    """A read-only system, an empty PATH, no rights, and it was started in a folder that is closed to it."""
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    process = await asyncio.create_subprocess_exec(
        *namespace, "sh", "-c", CLOSED, "sh", str(tmp_path), sys.executable, str(ROOT / "server.py"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await expect_coturn_and_end(process)


@pytest.mark.parametrize("fault", ["unreadable", "passphrase"])
async def test_a_key_that_the_service_cannot_use_is_one_line_at_the_start_and_at_a_reload(
    environ: dict[str, str], tmp_path: Path, fault: str
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    # Who runs these tests may be root, and read everything: not without the right to.
    command = ["setpriv", "--bounding-set", "-all"] if os.geteuid() == 0 else []
    command += [sys.executable, str(ROOT / "server.py"), "--port", "0", "--open", "--turn", "off"]
    command += ["--tls-cert", str(certificate), "--tls-key", str(key)]

    async def started() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environ, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    process = await started()
    assert process.stdout
    assert process.stderr
    assert b"https://127.0.0.1:" in await asyncio.wait_for(process.stdout.readline(), STARTED_WITHIN)
    if fault == "unreadable":
        key.chmod(0)
        rule = f"{key}: cannot be read: Permission denied"
    else:
        private = load_pem_private_key(issued.private_key_pem.bytes(), None)
        key.write_bytes(
            private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
        )
        rule = f"{key}: the key wants a passphrase; write it without one: openssl pkey"
    process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(20):
        while b"! " not in (line := await process.stderr.readline()):
            assert line
    assert line.decode().endswith(f"! not taken, what was there stays: {rule}\n")
    process.terminate()
    code, _, errors = await finished(process)
    assert (code, "Traceback" in errors) == (0, False)
    assert await finished(await started()) == (2, "", f"server.py: {rule}\n")


async def test_turn_off_starts_no_coturn(environ: dict[str, str], tmp_path: Path) -> None:
    process = await start(environ, "--port", "0", "--open", "--turn", "off", folder=tmp_path)
    address = await address_of(process)
    async with aiohttp.ClientSession() as http, http.get(address + "ice") as response:
        assert (await response.json())["iceServers"] == []
    process.terminate()
    assert (await finished(process))[0] == 0


async def test_an_invitation_stands_alone_on_its_line(environ: dict[str, str], tmp_path: Path) -> None:
    process = await start(environ, "invite", "demo", "--ttl", "60", folder=tmp_path)
    code, output, errors = await finished(process)
    assert code == 0
    token = output.removesuffix("\n")
    assert "\n" not in token
    key = existing_key(environ)
    assert check_invitation(token, session="demo", key=key, now=time.time()).session == "demo"
    assert token not in errors
    assert "#invite=" in errors


async def test_the_address_that_is_printed_lets_its_reader_in(environ: dict[str, str], tmp_path: Path) -> None:
    process = await start(environ, "--port", "0", "--turn", "off", folder=tmp_path)
    address, _, invitation = (await address_of(process)).partition("#invite=")
    async with aiohttp.ClientSession() as http:
        for headers, status in (({}, 401), ({INVITATION_HEADER: invitation}, 200)):
            async with http.get(address + "ice", headers=headers) as response:
                assert response.status == status
    process.terminate()
    code, _, errors = await finished(process)
    assert code == 0
    assert invitation not in errors


async def test_the_journal_of_an_earlier_version_is_moved_when_the_server_starts(
    environ: dict[str, str], tmp_path: Path
) -> None:
    old, new = tmp_path / "journal", tmp_path / "state/ice-console/journal"
    old.mkdir()
    await finished(await start(environ, "invite", "demo", "--journal", str(old), folder=tmp_path))
    _, listed, _ = await finished(await start(environ, "invitations", folder=tmp_path))
    assert "demo" in listed, "it is found before"
    process = await start(environ, "--port", "0", "--turn", "off", folder=tmp_path)
    await address_of(process)
    process.terminate()
    assert f"journal was moved to {new}" in (await finished(process))[2]
    assert not old.exists()
    _, listed, _ = await finished(await start(environ, "invitations", folder=tmp_path))
    assert "demo" in listed, "and after"


def test_invitations_are_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    def told(*arguments: str) -> str:
        code, output, _ = run(*arguments)
        assert code == 0
        return output

    guest = told("invite", "demo", "--name", "Bob B").strip()
    operator = told("invite", "--operator").strip()
    rows = [line.split("\t") for line in told("invitations").splitlines()]
    assert sorted((row[1], row[3]) for row in rows) == [("demo", "Bob B"), ("operator", "")]
    told("revoke", next(row[0] for row in rows if row[1] == "demo"))
    rows = [line.split("\t") for line in told("invitations").splitlines()]
    assert {row[1]: row[2] == "revoked" for row in rows} == {"demo": True, "operator": False}
    audit = (tmp_path / "state/ice-console/journal/audit.log").read_text()
    assert [json.loads(line)["event"] for line in audit.splitlines()] == ["invited", "invited", "revoked"]
    assert guest not in audit
    assert operator not in audit


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["invite", "no/name"], "session: "),
        (["invite", "demo", "--ttl", "0"], "--ttl: "),
        (["invite"], "invite: name a SESSION, or give --operator"),
        (["invite", "demo", "--operator"], "invite: name a SESSION, or give --operator"),
        (["invite", "demo", "--name", "x" * 129], "--name: "),
        (["revoke", "0123456789abcdef"], "revoke: no invitation '0123456789abcdef'"),
        (["invite", "demo", "--journal", "/proc/journal"], "/proc/journal"),
        (["--tls-cert", "cert.pem"], "give both or none"),
        (["--config", "missing.toml"], "missing.toml: cannot be read: No such file"),
        (["--host", "300.1.1.1", "--port", "0"], "300.1.1.1"),
        (["--host", "[2001:db8::7]", "--port", "0"], "cannot listen on 2001:db8::7 port 0"),
        (["--journal", "/proc/journal", "--port", "0"], "--journal /proc/journal: cannot be made"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(run: Run, arguments: list[str], rule: str) -> None:
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("server.py: ")
    assert rule in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (["invite", "demo"], "full"),
        (["--turn", "off", "check", "--config", "ice.toml"], "full"),
        (["invitations"], "unread"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line_and_one_that_nobody_reads_none(
    run: Run, environ: dict[str, str], tmp_path: Path, command: list[str], output: str
) -> None:
    write(tmp_path / "rtc.json", "[]")
    write(tmp_path / "ice.toml", '[[provider]]\nkind = "file"\npath = "rtc.json"\n')
    assert run("invite", "demo")[0] == 0  # so that there is something to list
    reader, writer = (
        os.pipe() if output == "unread" else (os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", os.O_WRONLY))
    )
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        program = [sys.executable, str(ROOT / "server.py"), *command]
        done = subprocess.run(
            program, cwd=tmp_path, env=environ, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    told = "server.py: the output cannot be written: No space left on device\n" if output == "full" else ""
    assert done.stderr.endswith(told) if told else done.stderr == ""
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == (2 if told else 0)


async def test_all_mistakes_of_all_files_are_told_at_once(environ: dict[str, str], tmp_path: Path) -> None:
    config = write(tmp_path / "ice.toml", "hold = 0\n[limits]\nsockets = 0\n[[server]]\nurls = []\n")
    tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    code, _, errors = await finished(await start(environ, "--config", str(config), *tls, folder=tmp_path))
    assert code == 2
    for line, rule in zip(
        errors.splitlines(),
        ["cert.pem: no such file", "key.pem: no such file", "[limits] sockets: ", "hold: must be", "urls: is empty"],
        strict=True,
    ):
        assert line.startswith("server.py: ")
        assert rule in line


async def test_tokens_of_origin_trials_go_with_the_page(environ: dict[str, str], tmp_path: Path) -> None:
    trials = ["--origin-trial", "QTE=", "--origin-trial", "QjI="]
    process = await start(environ, "--port", "0", "--turn", "off", *trials, folder=tmp_path)
    address = await address_of(process)
    async with aiohttp.ClientSession() as http, http.get(address) as response:
        assert response.headers["Origin-Trial"] == "QTE=, QjI="
    process.terminate()
    code, _, errors = await finished(process)
    assert code == 0
    assert "QTE=" not in errors


@pytest.mark.parametrize("token", ["", "A", "QTE= QjI=", '"QTE="', "QTE=\r\nX: y", "QTE=\n", "Q-_=", "ä"])
def test_what_is_no_token_of_an_origin_trial_is_refused(run: Run, token: str) -> None:
    code, output, errors = run("--origin-trial", token)
    assert (code, output) == (2, "")
    assert "argument --origin-trial: must be a token as it was issued: base64" in errors


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must be a host name"),
        ("turn.example:3478", "without scheme and port"),
        ("[2001:db8::1]:3478", "without scheme and port"),
        ("turn:turn.example", "without scheme and port"),
        ("https://turn.example/", "without scheme and port"),
        ("my_turn.example", "letters, digits, '-' and '.'"),
        ("turn.example ", "must be a host name"),
        ("300.1.1.1", "or an IP address"),
        ("fe80::1%eth0", "or an IP address"),
        ("bücher.example", "must be ASCII: a name in other letters as DNS has it, such as xn--bcher-kva.example"),
        ("0.0.0.0", "must be where pages can reach it, not where it listens"),
        ("::", "must be where pages can reach it, not where it listens"),
    ],
)
def test_what_is_no_name_for_the_local_coturn(name: str, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        server_py.main(["--turn-host", name])
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("server.py: error: argument --turn-host: ")
    assert rule in line


@pytest.mark.parametrize("name", ["turn.example", "192.0.2.1", "2001:db8::1", "xn--bcher-kva.example"])
def test_what_is_a_name_for_the_local_coturn(name: str) -> None:
    assert server_py._turn_host(name) == name


async def test_an_ipv6_address_of_the_local_coturn_may_have_its_brackets(
    environ: dict[str, str], tmp_path: Path
) -> None:
    process = await start(environ, "--port", "0", "--open", "--turn-host", "[2001:db8::1]", folder=tmp_path)
    address = await address_of(process)
    async with aiohttp.ClientSession() as http, http.get(address + "ice") as response:
        assert (await response.json())["iceServers"][0]["urls"][0].startswith("stun:[2001:db8::1]:")
    process.terminate()
    assert (await finished(process))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--port", "70000"], "argument --port: '70000' must be a whole number from 0 to 65535"),
        (["--port", "x"], "argument --port: 'x' must be a whole number from 0 to 65535"),
        (["--drain", "-1"], "argument --drain: '-1' must be a number of seconds from 0 to 86400"),
        (["--drain", "1m"], "argument --drain: '1m' must be a number of seconds from 0 to 86400"),
        (["--drain", "nan"], "argument --drain: 'nan' must be a number of seconds from 0 to 86400"),
        (["--turn", "maybe"], "argument --turn: invalid choice: 'maybe'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["invite", "demo", "--ttl", "1h"], "argument --ttl: '1h' must be a whole number of seconds"),
    ],
)
def test_a_wrong_option_is_explained(run: Run, arguments: list[str], rule: str) -> None:
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("usage: server.py")
    assert rule in errors

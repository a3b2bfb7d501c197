"""Credentials of a provider, at a real coturn: issued, and renewed on the live connection."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backend.ice.credentials import turn_credentials
from tests.browser.conftest import (
    OpenPage,
    StartConsole,
    TurnServer,
    expect_second_credentials,
    expiries,
    first_expiry,
    pair,
    wait_until,
)

TTL = 8
TOKEN = "the-provider's-token"


@contextmanager
def cloudflare(turn: TurnServer) -> Iterator[str]:
    """Run what answers as Cloudflare does, and issues what `turn` takes; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            if self.path != "/v1/turn/keys/key/credentials/generate-ice-servers" or not is_known:
                self.send_error(401)
                return
            issued = turn_credentials(turn.secret, name="provided", expires=int(time.time()) + asked["ttl"])
            entry = {"urls": [turn.url("udp")], "username": issued.username, "credential": issued.credential}
            body = json.dumps({"iceServers": [entry]}).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@pytest.mark.patient
def test_a_relayed_session_lives_on_from_one_of_a_providers_credentials_to_the_next(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    with cloudflare(turn_server) as url:
        path = tmp_path / "ice.toml"
        path.write_text(
            f'checks = false\n[[provider]]\nkind = "cloudflare"\nkey_id = "key"\ntoken_env = "TOKEN"\n'
            f'url = "{url}"\nttl = {TTL}\ntimeout = 60\n',
            encoding="utf-8",
        )
        console = start_console("--turn", "off", "--config", str(path), environment={"TOKEN": TOKEN})
        first, second = pair(console, open_page, session="provided", query="&policy=relay")
        before = first_expiry(turn_server)
        generation = int(first.attribute("data-ice-generation"))
        first.send("with the first credentials")
        for operator in (first, second):
            operator.expect_generation(generation + 1)
        wait_until(lambda: expiries(turn_server)[-1] > before, "coturn gave a relay for credentials that expire later")
        expect_second_credentials(console, "provided", (first, second), before)
    assert TOKEN not in console.log


@pytest.mark.patient
def test_a_turn_server_that_is_dead_is_given_to_nobody_and_pages_tell_who_answered(
    start_console: StartConsole, open_page: OpenPage, turn_server: TurnServer, tmp_path: Path
) -> None:
    with socket.socket() as closed:  # nobody listens
        closed.bind(("127.0.0.3", 0))
        dead = f"turn:127.0.0.3:{closed.getsockname()[1]}?transport=tcp"
        alive = [turn_server.url("udp"), turn_server.url("tcp")]
        path = tmp_path / "ice.toml"
        servers = [("alive", alive), ("dead", [dead])]
        path.write_text(
            '[access]\nmetrics = ["127.0.0.1"]\n'
            + "".join(
                f'[[server]]\nname = "{name}"\nurls = {json.dumps(urls)}\nsecret = "{turn_server.secret}"\n'
                for name, urls in servers
            ),
            encoding="utf-8",
        )
        console = start_console("--turn", "off", "--config", str(path))
        wait_until(lambda: f"{dead} fails for all and is left out" in console.log, "two checks have failed")
        first, second = pair(console, open_page, session="health", query="&policy=relay")
        ask = first.context.request
        given = [server["urls"] for server in ask.get(f"{console.address}ice?session=health").json()["iceServers"]]
        assert [url for urls in given for url in urls] == alive
        assert dead in json.dumps(ask.get(f"{console.address}readyz").json())
        for page in (first, second):
            page.expect_attribute("data-path", "relay")
        answered = 'ice_console_relay_bytes_total{host="127.0.0.1",protocol="udp"}'
        wait_until(lambda: answered in ask.get(f"{console.address}metrics").text(), "the pages tell of their relay")

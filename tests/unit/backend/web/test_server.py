"""HTTP: the page's files, `GET /ice`, who may call, and the headers that stand on everything."""

import json
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import yarl

from backend.access.invitations import KEY_VARIABLE, key_made_if_missing, new_invitation, sign
from backend.ice.credentials import turn_credentials
from backend.journal.reading import entries_of
from backend.settings import Settings, StartError, TlsFiles
from backend.web.files import SECURITY_HEADERS
from backend.web.server import Serving, create_app, serving
from pyapp.protocol.access import INVITATION_HEADER, ORIGIN_HEADER
from pyapp.protocol.journal import Journal, Journaled, JournalEntry
from pyapp.protocol.signaling import (
    MAX_FRAME_BYTES,
    PLACE_HEADER,
    Error,
    HeldPlace,
    Join,
    Leave,
    PeerLeft,
    Welcome,
    decode_server,
)
from pyapp.protocol.wire import encode
from tests.unit.backend.conftest import GROUPS

ROOT = Path(__file__).parents[4]
KEY = "k" * 40
ELSEWHERE = {"X-Forwarded-For": "203.0.113.9"}
"""Makes a caller one that is not on this machine."""

Start = Callable[..., Awaitable[Serving]]


def issue_invitation(session: str, *, key: str, ttl: float, now: float) -> str:
    return sign(new_invitation(session, ttl=ttl, now=now), key=key)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return KEY


@pytest.fixture(autouse=True)
def _no_key_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def turn_file(tmp_path: Path) -> Path:
    path = tmp_path / "ice.toml"
    path.write_text(
        '[[server]]\nurls = ["stun:s.example"]\n'
        '[[server]]\nname = "eu"\nurls = ["turn:t.example"]\nsecret = "shared-secret"\nttl = 600\n',
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("", "text/html"),
        (f"assets/{GROUPS['page']}/console.css", "text/css"),
        (f"assets/{GROUPS['page']}/boot.mjs", "text/javascript"),
        (f"assets/{GROUPS['pyodide']}/pyodide.asm.wasm", "application/wasm"),
        (f"assets/{GROUPS['modules']}/json.decoder.marshal", "application/octet-stream"),
        ("healthz", "application/json"),
        ("ice", "application/json"),
    ],
)
async def test_what_is_served(start: Start, http: aiohttp.ClientSession, path: str, content_type: str) -> None:
    server = await start()
    async with http.get(server.address + path) as response:
        assert response.status == 200
        assert response.content_type == content_type
        assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        kept = response.headers["Cache-Control"]
        assert "immutable" in kept if path.startswith("assets/") else "no-" in kept
        assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "server.py",
        "static/console.css",
        "pyapp/main.py",
        "assets/",
        "assets/manifest.json",
        f"assets/{GROUPS['page']}/",
        f"assets/{GROUPS['page']}/notes.txt",
        f"assets/{GROUPS['page']}/missing.css",
        f"assets/{GROUPS['page']}/../../../server.py",
        f"assets/{GROUPS['page']}/%2e%2e/manifest.json",
        f"assets/{GROUPS['page']}/..%2fmanifest.json",
        f"assets/{GROUPS['page']}/%2fetc%2fhostname.css",
        f"assets/{GROUPS['page']}/%00.css",
        "node_modules/pyodide/pyodide.mjs",
    ],
)
async def test_what_is_not_served(start: Start, http: aiohttp.ClientSession, path: str) -> None:
    server = await start()
    async with http.get(yarl.URL(server.address + path, encoded=True)) as response:
        assert response.status == 404
        assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


async def test_the_security_policy_allows_no_eval_and_no_inline_script(
    start: Start, http: aiohttp.ClientSession
) -> None:
    server = await start()
    async with http.get(server.address) as response:
        policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe-inline" not in str(policy)


async def test_the_page_takes_part_in_the_trials_it_has_tokens_for(
    start: Start, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server = await start(origin_trials=("QTE=", "QjI="))
    async with http.get(server.address) as page, http.head(server.address) as head:
        assert page.headers["Origin-Trial"] == head.headers["Origin-Trial"] == "QTE=, QjI="
    async with http.get(server.address, headers={"If-None-Match": page.headers["ETag"]}) as same:
        assert (same.status, same.headers["Origin-Trial"]) == (304, "QTE=, QjI=")
    async with http.get(server.address + "ice") as other:
        assert "Origin-Trial" not in other.headers
    assert "QTE=" not in caplog.text


async def test_without_a_token_there_is_no_trial(start: Start, http: aiohttp.ClientSession) -> None:
    async with http.get((await start()).address) as page:
        assert "Origin-Trial" not in page.headers


async def test_ice_for_a_caller_on_this_machine(start: Start, http: aiohttp.ClientSession, turn_file: Path) -> None:
    server = await start(config=turn_file)
    before = int(time.time())
    async with http.get(server.address + "ice?session=demo") as response:
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
    body: dict[str, Any] = json.loads(text)
    stun, turn = body.pop("iceServers")
    expires = int(body.pop("expires"))
    assert before + 600 <= expires <= time.time() + 600
    assert 599 <= body.pop("lifetime") <= 600
    assert stun == {"urls": ["stun:s.example"]}
    credentials = turn_credentials("shared-secret", name="demo", expires=expires)
    assert turn == {
        "urls": ["turn:t.example"],
        "name": "eu",
        "username": credentials.username,
        "credential": credentials.credential,
    }
    assert body == {
        "iceTransportPolicy": "all",
        "bundlePolicy": "max-bundle",
        "rtcpMuxPolicy": "require",
        "iceCandidatePoolSize": 0,
    }
    assert "shared-secret" not in text


async def test_ice_without_servers(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    async with http.get(server.address + "ice") as response:
        body = await response.json()
    assert (body["iceServers"], body["expires"]) == ([], None)


async def ice(
    http: aiohttp.ClientSession, server: Serving, *, token: str = "", query: str = "", **headers: str
) -> tuple[int, str]:
    invitation = {INVITATION_HEADER: token} if token else {}
    async with http.get(server.address + "ice" + query, headers=ELSEWHERE | invitation | headers) as response:
        body = await response.json()
        return response.status, body.get("code", "")


async def test_ice_for_a_guest(start: Start, http: aiohttp.ClientSession, key: str) -> None:
    server = await start(open_to_all=False)
    now = time.time()
    demo = issue_invitation("demo", key=key, ttl=60, now=now)
    assert await ice(http, server) == (401, "invitation-required")
    assert await ice(http, server, token="nonsense") == (401, "invitation-invalid")
    assert await ice(http, server, token=demo) == (200, "")
    assert await ice(http, server, token=demo, query="?session=demo") == (200, "")
    assert await ice(http, server, token=demo, query="?session=other") == (401, "invitation-invalid")
    assert await ice(http, server, token=demo, query="?session=%20") == (400, "malformed")
    old = issue_invitation("demo", key=key, ttl=60, now=now - 120)
    assert await ice(http, server, token=old) == (401, "invitation-expired")
    assert await ice(http, server, Authorization=f"Bearer {demo}") == (401, "invitation-required")
    assert await ice(http, server, token=demo, Authorization="Basic YTpi") == (200, "")


async def test_ice_for_who_holds_a_place_whatever_became_of_the_invitation(
    start: Start, http: aiohttp.ClientSession, key: str
) -> None:
    server = await start(open_to_all=False)
    invitation = issue_invitation("demo", key=key, ttl=60, now=time.time())
    socket = await http.ws_connect(server.address + "ws", headers=ELSEWHERE)
    await socket.send_str(encode(Join("demo", "a" * 32, "b" * 32, invitation)))
    await socket.receive_str(timeout=30)
    held = {PLACE_HEADER: HeldPlace("demo", "a" * 32, "b" * 32).to_header()}
    assert await ice(http, server, query="?session=demo", **held) == (200, "")
    old = issue_invitation("demo", key=key, ttl=60, now=time.time() - 120)
    assert await ice(http, server, token=old, query="?session=demo", **held) == (200, "")
    assert await ice(http, server, query="?session=other", **held) == (401, "invitation-required")
    for wrong in (("demo", "a" * 32, "c" * 32), ("demo", "b" * 32, "b" * 32), ("other", "a" * 32, "b" * 32)):
        claim = {PLACE_HEADER: HeldPlace(*wrong).to_header()}
        assert await ice(http, server, **claim) == (401, "invitation-required")
    assert await ice(http, server, **{PLACE_HEADER: "demo"}) == (400, "malformed")
    await socket.send_str(encode(Leave()))
    await socket.receive(timeout=30)
    assert await ice(http, server, query="?session=demo", **held) == (401, "invitation-required")


async def test_a_page_whose_socket_may_be_dead_leaves_over_http(
    start: Start, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    server = await start(open_to_all=True)
    sockets = [await http.ws_connect(server.address + "ws", headers=ELSEWHERE) for _ in range(2)]
    for socket, who in zip(sockets, "ab", strict=True):
        await socket.send_str(encode(Join("demo", who * 32, who * 32)))
        await socket.receive_str(timeout=30)
    await sockets[0].receive_str(timeout=30)  # the other one has come

    async def leave(text: str, body: str = "") -> int:
        async with http.delete(server.address + "place", headers={PLACE_HEADER: text}, data=body) as response:
            return response.status

    claim = HeldPlace("demo", "b" * 32, "b" * 32).to_header()
    rest = encode(Journal((JournalEntry(7, 5.0, "session", {"link": "#invite=eyJh.eyJi.c"}),)))
    assert await leave("demo") == 400
    for wrong in ("nonsense", encode(Leave()), '{"kind":"journal","entries":[]}', rest + " " * MAX_FRAME_BYTES):
        assert await leave(claim, wrong) == 400
    assert await leave(HeldPlace("demo", "b" * 32, "a" * 32).to_header(), rest) == 204
    assert await leave(claim, rest) == 204
    assert decode_server(await sockets[0].receive_str(timeout=30)) == PeerLeft("b" * 32)
    assert (await sockets[1].receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
    assert await leave(claim, rest) == 204
    await sockets[0].send_str(encode(Journal((JournalEntry(1, 6.0, "mark", {}),))))
    assert decode_server(await sockets[0].receive_str(timeout=30)) == Journaled(1)  # and so is what came before
    entries = entries_of(tmp_path / "journal", "demo")
    told = [(one["event"], one["data"]) for one in entries if one["number"] and one["participant"] == "b" * 32]
    assert told == [("session", {"link": "#invite=[redacted]"})]


async def test_an_open_server_asks_for_no_invitation(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start(open_to_all=True)
    assert await ice(http, server) == (200, "")


async def test_who_is_on_this_machine_needs_an_invitation_too(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start(open_to_all=False)
    for host in ("localhost", f"127.0.0.1:{server.port}", "rebound.example"):  # as bare proxies write it, too
        async with http.get(server.address + "ice", headers={"Host": host}) as response:
            assert (response.status, (await response.json())["code"]) == (401, "invitation-required")
            assert response.headers["WWW-Authenticate"] == "Invitation"


async def test_an_invitation_made_by_the_command_is_taken(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start(open_to_all=False)
    token = issue_invitation("demo", key=KEY, ttl=60, now=time.time())
    assert await ice(http, server, token=token) == (401, "invitation-invalid")
    token = issue_invitation("demo", key=key_made_if_missing(), ttl=60, now=time.time())
    assert await ice(http, server, token=token) == (200, "")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["ice", "ws"])
async def test_a_foreign_page_is_refused(start: Start, http: aiohttp.ClientSession, path: str, origin: str) -> None:
    server = await start(open_to_all=True)
    async with http.get(server.address + path, headers={"Origin": origin}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(server.address + "ws", origin=origin)


async def test_a_page_asks_why_no_websocket_opens(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    own = server.address.rstrip("/")
    async with http.get(server.address + "healthz", headers={ORIGIN_HEADER: own}) as response:
        assert response.status == 200
    async with http.get(server.address + "healthz", headers={ORIGIN_HEADER: "https://a.example"}) as response:
        refused = await response.json()
    assert (response.status, refused["code"]) == (403, "foreign-origin")
    for part in ("https://a.example", own.removeprefix("http://"), "[access] proxies", "[access] origins"):
        assert part in refused["message"]


async def test_our_own_page_is_served(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    origin = server.address.rstrip("/")
    async with http.get(server.address + "ice", headers={"Origin": origin}) as response:
        assert response.status == 200
    socket = await http.ws_connect(server.address + "ws", origin=origin)
    await socket.close()


@pytest.mark.parametrize(
    ("session", "ttl", "code"),
    [
        ("", 0, "invitation-required"),
        ("other", 60, "invitation-invalid"),
        ("demo", -60, "invitation-expired"),
        ("demo", 60, ""),
    ],
)
@pytest.mark.usefixtures("key")
async def test_signaling_asks_a_guest_for_an_invitation(start: Start, session: str, ttl: int, code: str) -> None:
    server = await start(open_to_all=False)
    invitation = issue_invitation(session, key=KEY, ttl=100, now=time.time() - 100 + ttl) if session else ""
    async with aiohttp.ClientSession() as http, http.ws_connect(server.address + "ws", headers=ELSEWHERE) as socket:
        await socket.send_str(encode(Join("demo", "a" * 32, "b" * 32, invitation)))
        answer = decode_server(await socket.receive_str(timeout=30))
        if code:
            assert isinstance(answer, Error)
            assert answer.code == code
            assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1008
        else:
            assert isinstance(answer, Welcome)
            assert not answer.polite
            assert re.fullmatch("[0-9a-f]{32}", answer.server)


async def test_no_invitation_is_in_a_log(
    start: Start, http: aiohttp.ClientSession, key: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    token = issue_invitation("demo", key=key, ttl=60, now=time.time())
    server = await start(open_to_all=False)
    await ice(http, server, token=token, query="?session=demo&x=" + token)
    socket = await http.ws_connect(server.address + "ws", headers=ELSEWHERE)
    await socket.send_str(encode(Join("demo", "a" * 32, "b" * 32, token)))
    await socket.receive_str(timeout=30)
    await socket.send_str(json.dumps({"kind": token}))
    await socket.receive_str(timeout=30)
    await socket.close()
    assert "GET /ice" in caplog.text
    assert token not in caplog.text
    assert token not in b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir()).decode("latin-1")


async def test_a_server_without_a_build_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="run 'make build'"):
        create_app(Settings(root=tmp_path, journal=tmp_path / "journal"))


async def test_a_port_in_use(start: Start, tmp_path: Path, server_root: Path) -> None:
    server = await start()
    settings = Settings(port=server.port, turn=False, journal=tmp_path / "journal", root=server_root)
    with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1 port {server.port}: "):
        async with serving(settings):
            pass


async def test_tls(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server = await start(tls=TlsFiles(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"))
    assert server.address.startswith("https://")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http,
        http.get(server.address) as response,
    ):
        assert response.status == 200


async def test_browsers_are_bound_to_https_only_where_that_is_asked_for_and_never_on_loopback(
    start: Start, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "ice.toml").write_text('[access]\nproxies = ["127.0.0.1"]', encoding="utf-8")
    asked = [(True, "a.example", "https"), (True, "a.example", "http"), (True, "localhost", "https")]
    for hsts, host, scheme in [*asked, (False, "a.example", "https")]:
        server = await start(hsts=hsts, config=tmp_path / "ice.toml")
        for headers in (
            {"X-Forwarded-Host": host, "X-Forwarded-Proto": scheme},
            {"Forwarded": f"host={host};proto={scheme}"},
        ):
            async with http.get(server.address, headers=headers) as response:
                is_bound = "Strict-Transport-Security" in response.headers
                assert is_bound == (hsts and (host, scheme) == ("a.example", "https"))


async def test_no_proxy_may_change_the_page(start: Start, http: aiohttp.ClientSession) -> None:
    async with http.get((await start()).address) as response:
        assert response.headers["Cache-Control"] == "no-cache, no-transform"


def test_every_address_in_the_page_is_relative_to_it() -> None:
    sources = [ROOT / "index.html", *ROOT.glob("runtime/page/*.mjs"), *ROOT.glob("static/*.css")]
    sources += ROOT.glob("pyapp/browser/**/*.py")
    found = []
    for path in sources:
        quotes = "\"'(=" if path.suffix == ".py" else "\"'(=`"  # in Python, backquotes are for names in prose
        absolute = re.compile(
            rf"[{quotes}](?://|/(?:access|assets|ice|ws|invitations|sessions|static)\b)|location\.host\b"
        )
        found += [f"{path.name}: {match[0]}" for match in absolute.finditer(path.read_text())]
    assert found == []


async def test_tls_files_that_are_none(tmp_path: Path, server_root: Path) -> None:
    (tmp_path / "key.pem").write_text("nothing", encoding="utf-8")
    for name, rule in (("missing.pem", "no such file"), ("key.pem", "is no certificate in PEM")):
        tls = TlsFiles(certificate=tmp_path / name, key=tmp_path / "key.pem")
        with pytest.raises(StartError, match=rule):
            async with serving(Settings(port=0, turn=False, tls=tls, root=server_root, journal=tmp_path / "journal")):
                pass

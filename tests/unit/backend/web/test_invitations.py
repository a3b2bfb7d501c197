"""Operators, guests and their invitations, over HTTP and on running sessions."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_interface
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import aiohttp
import pytest

from backend.access.invitations import KEY_VARIABLE, InvitationError, new_invitation, sign
from backend.access.limits import Limits
from backend.access.throttle import Pause, Throttle
from backend.web.keys import ACCESS, SIGNALING
from backend.web.server import Serving
from pyapp.protocol.access import INVITATION_HEADER, invited_session
from pyapp.protocol.signaling import Error, Join, PeerLeft, Ping, ServerMessage, Welcome, decode_server
from pyapp.protocol.wire import encode
from tests.unit.backend.conftest import operator

KEY = "k" * 40
A, B = "a" * 32, "b" * 32
ROOT = Path(__file__).parents[4]

Start = Callable[..., Awaitable[Serving]]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture
async def server(start: Start) -> Serving:
    return await start(open_to_all=False)


async def ask(
    http: aiohttp.ClientSession, server: Serving, method: str, path: str = "", *, headers: dict[str, str], **body: Any
) -> tuple[int, Any]:
    url = f"{server.address}invitations{path}"
    async with http.request(method, url, headers=headers, json=body or None) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json() if response.content_length else None


async def joined(http: aiohttp.ClientSession, server: Serving, participant: str, invitation: str) -> Any:
    socket = await http.ws_connect(server.address + "ws")
    await socket.send_str(encode(Join("demo", participant, participant, invitation)))
    return socket, decode_server(await socket.receive_str(timeout=30))


def audit(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "journal" / "audit.log").read_text().splitlines()]


async def test_the_printed_address_lets_an_operator_into_any_session(
    server: Serving, http: aiohttp.ClientSession
) -> None:
    assert server.operator_address.startswith(server.address + "#invite=")
    for session in ("demo", "other", ""):
        async with http.get(f"{server.address}ice?session={session}", headers=operator(server)) as response:
            assert response.status == 200
    _, answer = await joined(http, server, A, operator(server)[INVITATION_HEADER])
    assert isinstance(answer, Welcome)


async def test_it_is_good_for_as_long_as_the_server_runs(
    start: Start, server: Serving, http: aiohttp.ClientSession
) -> None:
    other = await start(open_to_all=False)
    async with http.get(other.address + "ice", headers=operator(server)) as response:
        assert (response.status, (await response.json())["code"]) == (401, "invitation-expired")


async def test_an_open_server_prints_none(start: Start) -> None:
    server = await start()
    assert server.operator_address == server.address


async def test_an_operator_invites_a_guest_to_one_session(
    server: Serving, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    status, issued = await ask(http, server, "POST", headers=operator(server), session="demo", name="Bob", ttl=60)
    assert (status, issued["session"], issued["role"], issued["name"]) == (201, "demo", "guest", "Bob")
    token = issued["invitation"]
    assert invited_session(token) == "demo"
    assert 58 <= issued["expires"] - time.time() <= 61
    for session, code in (("demo", 200), ("other", 401)):
        url = f"{server.address}ice?session={session}"
        async with http.get(url, headers={INVITATION_HEADER: token}) as response:
            assert response.status == code
    status, listed = await ask(http, server, "GET", headers=operator(server))
    assert [one["id"] for one in listed["invitations"]] == [issued["id"]]
    assert token not in json.dumps(listed)
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{issued['id']}")):
        status, refusal = await ask(http, server, method, path, headers={INVITATION_HEADER: token}, session="demo")
        assert (status, refusal["code"]) == (403, "operators-only")
        assert (await ask(http, server, method, path, headers={}, session="demo"))[0] == 401
    assert token not in (tmp_path / "journal" / "audit.log").read_text()


@pytest.mark.parametrize(
    "body", [{"session": ""}, {"session": "a/b"}, {"name": "x"}, {"session": "a", "ttl": 0}, {"session": "a", "x": 1}]
)
async def test_what_cannot_be_issued(server: Serving, http: aiohttp.ClientSession, body: dict[str, Any]) -> None:
    status, refusal = await ask(http, server, "POST", headers=operator(server), **body)
    assert (status, refusal["code"]) == (400, "malformed")


async def test_a_foreign_page_may_not_invite(server: Serving, http: aiohttp.ClientSession) -> None:
    headers = operator(server) | {"Origin": "https://evil.example"}
    assert (await ask(http, server, "POST", headers=headers, session="demo"))[0] == 403


async def revoke_by_http(server: Serving, http: aiohttp.ClientSession, identifier: str, _: Path) -> None:
    assert await ask(http, server, "DELETE", f"/{identifier}", headers=operator(server)) == (204, None)
    assert (await ask(http, server, "DELETE", f"/{identifier}", headers=operator(server)))[0] == 404


async def revoke_by_command(_: Serving, __: aiohttp.ClientSession, identifier: str, journal: Path) -> None:
    command = [sys.executable, "server.py", "revoke", identifier, "--journal", str(journal)]
    await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=True)


async def _goodbye(socket: aiohttp.ClientWebSocketResponse) -> tuple[ServerMessage, aiohttp.WSMsgType]:
    """Return what comes next, and what kind of frame after it."""
    return decode_server(await socket.receive_str(timeout=60)), (await socket.receive(timeout=60)).type


@pytest.mark.parametrize("revoke", [revoke_by_http, revoke_by_command])
async def test_revoked_means_out_of_a_running_session_too(
    server: Serving,
    http: aiohttp.ClientSession,
    tmp_path: Path,
    revoke: Callable[[Serving, aiohttp.ClientSession, str, Path], Awaitable[None]],
) -> None:
    _, issued = await ask(http, server, "POST", headers=operator(server), session="demo", name="Bob")
    first, _ = await joined(http, server, A, operator(server)[INVITATION_HEADER])
    guest, answer = await joined(http, server, B, issued["invitation"])
    assert isinstance(answer, Welcome)
    await first.receive_str(timeout=30)
    # Pings are answered by who reads, or it is cut off; the command may last longer.
    goodbye, left = asyncio.create_task(_goodbye(guest)), asyncio.create_task(first.receive_str(timeout=60))
    await revoke(server, http, issued["id"], tmp_path / "journal")
    error, end = await goodbye
    assert isinstance(error, Error)
    assert error.code == "invitation-revoked"
    assert end is aiohttp.WSMsgType.CLOSE
    assert decode_server(await left) == PeerLeft(B)
    _, answer = await joined(http, server, B, issued["invitation"])
    assert isinstance(answer, Error)
    assert answer.code == "invitation-revoked"
    async with http.get(server.address + "ice", headers={INVITATION_HEADER: issued["invitation"]}) as response:
        assert response.status == 401
    events = audit(tmp_path)
    assert [one["event"] for one in events] == ["invited", "came", "came", "revoked", "left", "refused", "refused"]
    assert events[2] | {"name": "Bob", "session": "demo", "role": "guest", "invitation": issued["id"]} == events[2]
    assert events[4]["how"] == "revoked"


async def test_after_ten_wrong_invitations_it_is_said_and_good_ones_still_enter(
    server: Serving, http: aiohttp.ClientSession
) -> None:
    forged = sign(new_invitation("demo", now=time.time()), key="z" * 40)
    answers = await asyncio.gather(*(joined(http, server, A, forged) for _ in range(12)))
    assert {answer.code for _, answer in answers} == {"invitation-invalid"}
    assert answers[-1][1].message == "Too many wrong invitations."
    good = sign(new_invitation("demo", now=time.time()), key=KEY)
    assert isinstance((await joined(http, server, A, good))[1], Welcome)


async def test_one_answer_waits_for_all_its_pause_and_others_are_refused_at_once(
    server: Serving, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.access.throttle._FIRST_DELAY", 1000.0)
    monkeypatch.setattr("backend.access.throttle._LAST_DELAY", 1000.0)
    forged = sign(new_invitation("demo", now=time.time()), key="z" * 40)
    first = await http.ws_connect(server.address + "ws")
    await first.send_str(encode(Join("demo", A, A, forged)))
    await first.send_str(encode(Ping(1)))  # which nobody reads any more
    waiting = asyncio.create_task(first.receive())  # pings are answered by who reads, or it is cut off
    connections = server.app[SIGNALING]._connections
    for _ in range(20):  # more than one address may have that have not joined
        socket, answer = await joined(http, server, A, forged)
        assert isinstance(answer, Error)
        assert answer.code == "invitation-invalid"
        assert 900 < answer.retry_after <= 1000.1  # it is rounded up, and (now + 1000) - now may be a little more
        assert (await socket.receive(timeout=30)).data == aiohttp.WSCloseCode.POLICY_VIOLATION
    [held] = [one for one in connections if one.refusal]
    assert held.refusal
    assert held.refusal.when() - asyncio.get_running_loop().time() > 900
    async with http.get(server.address + "ice?session=demo", headers={INVITATION_HEADER: forged}) as response:
        assert response.status == 401
        assert 900 < int(response.headers["Retry-After"]) <= 1001
    good = sign(new_invitation("demo", now=time.time()), key=KEY)
    assert isinstance((await joined(http, server, A, good))[1], Welcome)
    assert not waiting.done()
    waiting.cancel()


async def test_while_an_invitation_is_refused_no_other_is_tried_on_the_socket(
    server: Serving, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    forged = sign(new_invitation("demo", now=time.time()), key="z" * 40)
    good = sign(new_invitation("demo", now=time.time()), key=KEY)
    socket = await http.ws_connect(server.address + "ws")
    for invitation in (forged, forged, good):
        await socket.send_str(encode(Join("demo", A, A, invitation)))
    refused = decode_server(await socket.receive_str(timeout=20))
    assert isinstance(refused, Error)
    assert refused.code == "invitation-invalid"
    assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
    assert [one["event"] for one in audit(tmp_path)] == ["refused"]


async def test_wrong_tries_do_not_fill_the_audit_log_and_all_are_counted(server: Serving, tmp_path: Path) -> None:
    access = server.app[ACCESS]
    for address in [*(f"2001:db8::{number:x}" for number in range(50)), "192.0.2.1"]:
        with pytest.raises(InvitationError):
            access.check("wrong", "demo", address=address)
    access.sum_up_refusals(now=time.monotonic())
    access.audit.close()
    assert [one["address"] for one in audit(tmp_path)] == [*(f"2001:db8::{n:x}" for n in range(10)), "192.0.2.1"]
    access.close()
    assert audit(tmp_path)[11:] == [{"time": ANY, "event": "refused", "address": "2001:db8::/64", "more": 40}]


async def test_a_key_that_cannot_be_read_is_not_told_to_each_stranger(
    server: Serving, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "short")
    monkeypatch.setattr("backend.seldom.SHORTEST", 1000.0)
    for _ in range(5):
        with pytest.raises(InvitationError):
            server.app[ACCESS].check("wrong", "demo", address="192.0.2.1")
    assert len([one for one in caplog.records if one.name == "ice_console.access"]) == 1


async def test_who_makes_room_before_it_is_refused_is_told_once(
    start: Start, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_wrong = asyncio.Event()

    def wrong(*_: object, **__: object) -> Pause:
        is_wrong.set()
        return Pause(delay=1000.0)

    monkeypatch.setattr(Throttle, "wrong", wrong)
    server = await start(open_to_all=False, limits=Limits(unjoined_sockets=1))
    forged = sign(new_invitation("demo", now=time.time()), key="z" * 40)
    first = await http.ws_connect(server.address + "ws")
    [connection] = server.app[SIGNALING]._connections
    await first.send_str(encode(Join("demo", A, A, forged)))
    await is_wrong.wait()
    await http.ws_connect(server.address + "ws")
    refused = decode_server(await first.receive_str(timeout=30))
    assert isinstance(refused, Error)
    assert refused.limit == "unjoined-sockets"
    assert connection.refusal
    assert connection.refusal.cancelled()


async def test_who_leaves_before_it_is_refused_is_forgotten(server: Serving, http: aiohttp.ClientSession) -> None:
    forged = sign(new_invitation("demo", now=time.time()), key="z" * 40)
    socket = await http.ws_connect(server.address + "ws")
    await socket.send_str(encode(Join("demo", A, A, forged)))
    await socket.close()
    good = sign(new_invitation("demo", now=time.time()), key=KEY)
    assert isinstance((await joined(http, server, A, good))[1], Welcome)


async def told(http: aiohttp.ClientSession, server: Serving, headers: dict[str, str]) -> Any:
    async with http.get(server.address + "access", headers=headers) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        return await response.json()


async def test_a_page_is_told_what_it_may_do(start: Start, server: Serving, http: aiohttp.ClientSession) -> None:
    guest = sign(new_invitation("demo", now=time.time()), key=KEY)
    for headers, role in ((operator(server), "operator"), ({INVITATION_HEADER: guest}, "guest"), ({}, "")):
        assert await told(http, server, headers) == {"role": role, "open": False, "addresses": []}
    assert await told(http, server, {INVITATION_HEADER: "forged"}) == {"role": "", "open": False, "addresses": []}
    everybody = await start()
    assert await told(http, everybody, {}) == {"role": "operator", "open": True, "addresses": []}
    async with http.get(everybody.address + "access", headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 403


async def test_who_may_invite_is_told_the_other_addresses_of_the_machine(
    start: Start, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [ip_interface("127.0.0.1/8"), ip_interface("192.0.2.5/24")]
    monkeypatch.setattr("backend.web.reaching.own_addresses", lambda: found)
    server = await start(open_to_all=False, hosts=("0.0.0.0",))
    guest = sign(new_invitation("demo", now=time.time()), key=KEY)
    answer = await told(http, server, operator(server))
    assert answer["addresses"] == [f"http://192.0.2.5:{server.port}/"]
    assert (await told(http, server, {INVITATION_HEADER: guest}))["addresses"] == []

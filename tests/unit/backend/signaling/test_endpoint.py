"""Signaling over real sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import aiohttp.web
import pytest

from backend.access.limits import Limits
from backend.ice.chain import Chain
from backend.journal.reading import entries_of
from backend.signaling.listener import Listener
from backend.signaling.socket import Socket
from backend.web.keys import JOURNAL, SIGNALING
from backend.web.server import Serving
from pyapp.protocol.journal import Journal, Journaled, JournalEntry
from pyapp.protocol.peer import Candidate, Description
from pyapp.protocol.signaling import (
    MAX_FRAME_BYTES,
    PLACE_HEADER,
    ClientMessage,
    Error,
    HeldPlace,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Ping,
    Pong,
    Relay,
    Relayed,
    ServerMessage,
    Welcome,
    decode_server,
)
from pyapp.protocol.wire import encode

A, B, C = "a" * 32, "b" * 32, "c" * 32
OFFER = Description("offer", "v=0\r\n", 1)


class Client:
    """One page, as far as the server can see."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, message: ClientMessage) -> None:
        await self.socket.send_str(encode(message))

    async def receive(self) -> ServerMessage:
        """Return the next message; of a welcome, without what this run of the server says of itself."""
        message = decode_server(await self.socket.receive_str(timeout=30))
        return replace(message, server="", hold=30.0) if isinstance(message, Welcome) else message

    async def expect(self, *messages: ServerMessage) -> None:
        assert [await self.receive() for _ in messages] == list(messages)

    async def error(self) -> Error:
        message = await self.receive()
        assert isinstance(message, Error)
        return message

    async def closed(self) -> int | None:
        message = await self.socket.receive(timeout=30)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
        # What the server said; `close_code` is 1006 if it was gone before our answer.
        return message.data if message.type is aiohttp.WSMsgType.CLOSE else self.socket.close_code

    async def alive(self) -> None:
        """Check that the server still answers, and that nothing else came before."""
        await self.send(Ping(77))
        await self.expect(Pong(77))

    async def drop(self) -> None:
        """Die without a word, as a network does."""
        self.socket._response.connection.transport.abort()  # type: ignore[union-attr]


Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Serving]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())

        async def connected(server: Serving, participant: str = "", *, session: str = "demo") -> Client:
            client = Client(await http.ws_connect(server.address + "ws", max_msg_size=0))
            stack.push_async_callback(client.socket.close)
            if participant:
                await client.send(Join(session, participant, participant))
            return client

        yield connected


async def pair(server: Serving, connect: Connect) -> tuple[Client, Client]:
    first = await connect(server, A)
    await first.expect(Welcome(polite=False, peer=""))
    second = await connect(server, B)
    await second.expect(Welcome(polite=True, peer=A))
    await first.expect(PeerJoined(B))
    return first, second


async def test_two_pages_exchange_frames_in_order(start: Start, connect: Connect) -> None:
    first, second = await pair(await start(), connect)
    await first.send(Relay("", 1, 0, OFFER))
    for number in range(2, 50):
        await first.send(Relay(B, number, 0, Candidate("", "0", 0, None)))
    await second.expect(Relayed(A, 1, 0, OFFER))
    await second.expect(*(Relayed(A, number, 0, Candidate("", "0", 0, None)) for number in range(2, 50)))
    await second.send(Relay(A, 0, 49, None))
    await first.expect(Relayed(B, 0, 49, None))


async def test_what_is_sent_early_arrives_right_after_the_welcome(start: Start, connect: Connect) -> None:
    server = await start()
    first = await connect(server, A)
    await first.send(Relay("", 1, 0, OFFER))
    await first.expect(Welcome(polite=False, peer=""))
    await first.alive()
    second = await connect(server, B)
    await second.expect(Welcome(polite=True, peer=A), Relayed(A, 1, 0, OFFER))


async def test_a_third_page_is_told_and_its_socket_closed(start: Start, connect: Connect) -> None:
    server = await start()
    first, second = await pair(server, connect)
    third = await connect(server, C)
    assert (await third.error()).code == "session-full"
    assert await third.closed() == 1008
    await first.alive()
    await second.alive()


async def test_leaving_is_told_at_once(start: Start, connect: Connect) -> None:
    first, second = await pair(await start(), connect)
    await second.send(Leave())
    await first.expect(PeerLeft(B))
    assert await second.closed() == 1000


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_clean_close_is_a_leave(start: Start, connect: Connect, code: int) -> None:
    first, second = await pair(await start(), connect)
    await second.socket.close(code=code)
    await first.expect(PeerLeft(B))


async def test_a_lost_socket_keeps_its_place_and_gets_what_came_meanwhile(start: Start, connect: Connect) -> None:
    server = await start()
    first, second = await pair(server, connect)
    await second.drop()
    await first.send(Relay(B, 1, 0, OFFER))
    await first.alive()
    again = await connect(server, B)
    # The frame may still have gone out on the dead socket: numbers and acknowledgements are the pages' answer to that.
    await again.expect(Welcome(polite=True, peer=A))
    await first.expect(PeerJoined(B))
    await first.send(Relay(B, 2, 0, OFFER))
    received = await again.receive()
    assert received in (Relayed(A, 1, 0, OFFER), Relayed(A, 2, 0, OFFER))


async def test_a_close_without_a_code_is_a_loss(start: Start, connect: Connect) -> None:
    server = await start()
    first, second = await pair(server, connect)
    # What `socket.close()` sends in a browser: an empty close frame (RFC 6455, section 5.5.1), masked with zeros.
    second.socket._response.connection.transport.write(b"\x88\x80\x00\x00\x00\x00")  # type: ignore[union-attr]
    await second.closed()
    third = await connect(server, C)
    error = await third.error()
    assert error.code == "place-held"
    assert 0 < error.retry_after <= 30
    await first.alive()


async def test_a_place_is_held_only_so_long(start: Start, connect: Connect) -> None:
    first, second = await pair(await start(hold=0.05), connect)
    await second.drop()
    await first.expect(PeerLeft(B, lost=True))


async def test_whose_place_was_lost_is_told_apart_from_the_end(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, heard = await start(hold=0.05), list[tuple[str, ...]]()
    monkeypatch.setattr(Chain, "lost", lambda _, *told: heard.append(("lost", *told)))
    monkeypatch.setattr(Chain, "ended", lambda _, *told: heard.append(("ended", *told)))
    first, second = await pair(server, connect)
    await second.drop()
    await first.expect(PeerLeft(B, lost=True))
    assert heard == [("lost", "demo", "")]
    await first.send(Leave())
    assert await first.closed() == 1000
    assert heard == [("lost", "demo", ""), ("ended", "demo")]


async def test_one_bad_delivery_takes_nothing_from_those_after_it(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_chain: Chain, *_told: str) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(Chain, "lost", failing)
    first, second = await pair(await start(hold=0.05), connect)
    await second.drop()
    await first.expect(PeerLeft(B, lost=True))
    assert "out of order" in caplog.text


async def test_who_cannot_be_told_something_comes_back_for_it(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start()
    first, second = await pair(server, connect)
    send = Socket.send

    def failing(socket: Socket, payload: bytes) -> None:
        if b"candidate" in payload:
            monkeypatch.setattr(Socket, "send", send)
            raise RuntimeError("out of order")
        send(socket, payload)

    monkeypatch.setattr(Socket, "send", failing)
    await first.send(Relay(B, 1, 0, Candidate("", "0", 0, None)))
    assert await second.closed() == 1006
    again = await connect(server, B)
    await again.expect(Welcome(polite=True, peer=A), Relayed(A, 1, 0, Candidate("", "0", 0, None)))
    await first.expect(PeerJoined(B))
    await first.alive()


async def test_how_long_a_place_is_held_is_configured_and_said(start: Start, connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "ice.toml"
    file.write_text("hold = 45\n", encoding="utf-8")
    client = await connect(await start(config=file), A)
    welcome = decode_server(await client.socket.receive_str(timeout=30))
    assert isinstance(welcome, Welcome)
    assert welcome.hold == 45


async def test_a_newer_socket_supersedes_the_older(start: Start, connect: Connect) -> None:
    server = await start()
    first, second = await pair(server, connect)
    newer = await connect(server, B)
    await newer.expect(Welcome(polite=True, peer=A))
    assert (await second.error()).code == "superseded"
    assert await second.closed() == 1008
    await first.expect(PeerJoined(B))
    await first.send(Relay(B, 1, 0, OFFER))
    await newer.expect(Relayed(A, 1, 0, OFFER))


async def test_a_silent_peer_is_noticed(start: Start, connect: Connect) -> None:
    server = await start(hold=0.05, limits=Limits(heartbeat=0.1))
    first = await connect(server, A)
    await first.expect(Welcome(polite=False, peer=""))
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(server.address + "ws", autoping=False)
        await socket.send_str(encode(Join("demo", B, B)))
        await first.expect(PeerJoined(B), PeerLeft(B, lost=True))
        await socket.close()


MALFORMED = [
    ("", "frame: not JSON"),
    ("{", "frame: not JSON"),
    ("null", "frame: an object"),
    ("[]", "frame: an object"),
    ('{"kind":"dance"}', "kind: one of"),
    ('{"kind":{}}', "kind: one of"),
    ('{"kind":"welcome","polite":true,"peer":""}', "kind: one of"),
    ('{"kind":"ping"}', "number: missing"),
    ('{"kind":"ping","number":"1"}', "number: a whole number"),
    ('{"kind":"ping","number":true}', "number: a whole number"),
    ('{"kind":"ping","number":-1}', "number: a whole number from 0"),
    ('{"kind":"ping","number":1e999}', "frame: 1e999 is too large"),
    ('{"kind":"ping","number":NaN}', "frame: NaN is not JSON"),
    ('{"kind":"ping","number":1,"more":1}', "more: no such field"),
    (
        '{"kind":"relay","to":"","number":0,"ack":0,"body":{"kind":"candidate","candidate":"\\ud800"}}',
        "frame: half of a surrogate pair",
    ),
    ('{"kind":"relay","to":"x","number":0,"ack":0,"body":null}', "to: 32 hexadecimal digits"),
    ('{"kind":"relay","to":"","number":0,"ack":0,"body":{"kind":"restart-wanted"}}', "number: 0 without a body"),
    ('{"kind":"relay","to":"","number":1,"ack":0,"body":null}', "number: 0 without a body"),
    ('{"kind":"relay","to":"","number":0,"ack":0,"body":null,"more":[{"kind":"restart-wanted"}]}', "more: at most"),
    (f'{{"kind":"relay","to":"","number":{10**400},"ack":0,"body":{{"kind":"restart-wanted"}}}}', "number: a "),
    (f'{{"kind":"ping","number":{10**400}}}', "number: a "),
    ("[" * 60_000, "frame: nested too deeply"),
    ('{"kind":' * 7_000, "frame: "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), MALFORMED, ids=[rule[:30] + str(i) for i, (_, rule) in enumerate(MALFORMED)])
async def test_a_malformed_frame_gets_an_error_and_disturbs_nothing(
    start: Start, connect: Connect, text: str, rule: str
) -> None:
    first, second = await pair(await start(), connect)
    await first.socket.send_str(text)
    error = await first.error()
    assert error.code == "malformed"
    assert error.message.startswith(rule)
    await first.send(Relay("", 1, 0, OFFER))
    await second.expect(Relayed(A, 1, 0, OFFER))


async def test_binary_gets_an_error(start: Start, connect: Connect) -> None:
    first, second = await pair(await start(), connect)
    await first.socket.send_bytes(b"\x00\x01")
    assert await first.error() == Error("malformed", "frame: must be text")
    await first.alive()
    await second.alive()


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 1, 1_000_000])
async def test_a_frame_that_is_too_long_gets_an_error_that_names_the_limit(
    start: Start, connect: Connect, size: int
) -> None:
    first, second = await pair(await start(), connect)
    await first.socket.send_str("x" * size)
    error = await first.error()
    assert (error.code, error.limit) == ("limit", "frame-bytes")
    await first.alive()
    await second.alive()


async def test_the_length_counts_bytes(start: Start, connect: Connect) -> None:
    client = await connect(await start())
    await client.socket.send_str("\u20ac" * (MAX_FRAME_BYTES // 2))
    assert (await client.error()).limit == "frame-bytes"


async def test_what_is_far_too_long_closes_its_socket_only(start: Start, connect: Connect) -> None:
    server = await start()
    first, second = await pair(server, connect)
    with contextlib.suppress(ConnectionError):
        await first.socket.send_str("x" * 1_100_000)
    assert await first.closed() in (1009, 1006)
    await second.alive()


async def test_a_flood_is_told_once_and_dropped(start: Start, connect: Connect) -> None:
    server = await start(limits=Limits(messages_per_second=0.001, message_burst=10))
    client = await connect(server, A)
    for number in range(30):
        await client.send(Ping(number))
    await client.expect(Welcome(polite=False, peer=""), *(Pong(number) for number in range(9)))
    error = await client.error()
    assert (error.code, error.limit) == ("limit", "messages-per-second")
    other = await connect(server, B)
    await other.expect(Welcome(polite=True, peer=A))
    await client.expect(PeerJoined(B))


async def test_sockets_of_one_address_are_limited(start: Start, connect: Connect) -> None:
    server = await start(limits=Limits(sockets_per_address=1))
    first = await connect(server, A)
    async with aiohttp.ClientSession() as http, http.get(server.address + "ws") as response:
        assert response.status == 503
        assert (await response.json())["limit"] == "sockets-per-address"
    await first.expect(Welcome(polite=False, peer=""))


@pytest.fixture
def comes_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say where the requests come from that follow."""

    def comes(address: str) -> None:
        monkeypatch.setattr(aiohttp.web.Request, "remote", address)
        monkeypatch.setattr("backend.web.connecting._peer", lambda _: address)

    return comes


async def test_all_addresses_of_an_ipv6_network_are_one_caller(
    start: Start, connect: Connect, comes_from: Callable[[str], None]
) -> None:
    server = await start(open_to_all=True, limits=Limits(unjoined_per_address=4))
    for number in range(4):
        comes_from(f"2001:db8::{number:x}")
        await connect(server)
    comes_from("2001:db8::dead:beef")
    async with aiohttp.ClientSession() as http, http.get(server.address + "ws") as response:
        assert (response.status, (await response.json())["limit"]) == (503, "unjoined-per-address")
    comes_from("2001:db8:0:1::1")
    other = await connect(server, A)
    await other.expect(Welcome(polite=False, peer=""))


async def test_who_has_joined_leaves_room_for_another_who_has_not(start: Start, connect: Connect) -> None:
    server = await start(limits=Limits(unjoined_per_address=1))
    for participant in (A, B):
        client = await connect(server, participant)
        await client.receive()
    third = await connect(server)
    await third.alive()


async def test_sockets_that_have_not_joined_keep_nobody_out(
    start: Start, connect: Connect, comes_from: Callable[[str], None]
) -> None:
    server = await start(open_to_all=True, limits=Limits(unjoined_sockets=3))
    comes_from("192.0.2.1")
    crowd = [await connect(server) for _ in range(3)]
    comes_from("192.0.2.2")
    client = await connect(server, A)
    await client.expect(Welcome(polite=False, peer=""))
    error = await crowd[0].error()
    assert (error.code, error.limit) == ("not-joined", "unjoined-sockets")
    assert await crowd[0].closed() == 1008
    for other in crowd[1:]:
        await other.alive()


async def test_those_that_have_joined_are_limited_and_may_come_back(start: Start, connect: Connect) -> None:
    server = await start(limits=Limits(sockets=1))
    client = await connect(server, A)
    await client.expect(Welcome(polite=False, peer=""))
    second = await connect(server, B)
    assert (await second.error()).limit == "sockets"
    assert await second.closed() == 1008
    again = await connect(server, A)
    await again.expect(Welcome(polite=False, peer=""))


async def test_a_number_without_end_closes_nothing(start: Start, connect: Connect) -> None:
    client = await connect(await start())
    entry = f'{{"kind":"entry","number":1,"at":{10**400},"event":"x","data":{{}}}}'
    await client.socket.send_str(f'{{"kind":"journal","entries":[{entry}]}}')
    assert (await client.error()).message.startswith("at: a finite number")
    await client.alive()


async def test_what_the_server_does_not_read_is_passed_on_unchanged(start: Start, connect: Connect) -> None:
    first, second = await pair(await start(), connect)
    frame = {"kind": "relay", "to": "", "number": 3, "ack": 2, "body": {"kind": "later", "x": [1, "\u20ac"]}}
    await first.socket.send_str(json.dumps(frame | {"epoch": 2, "peerEpoch": 1, "more": [{"kind": "else"}]}))
    heard = json.loads(await second.socket.receive_str(timeout=30))
    del frame["to"]
    assert heard == frame | {"kind": "relayed", "sender": A, "epoch": 2, "peerEpoch": 1, "more": [{"kind": "else"}]}


async def test_frames_of_every_length_arrive_whole(start: Start, connect: Connect) -> None:
    first, second = await pair(await start(), connect)
    for number, size in enumerate((0, 20, 60, 126, 1000, 60_000), start=1):
        body = Description("offer", "v=0" + "x" * size, 1)
        await first.send(Relay(B, number, 0, body))
        await second.expect(Relayed(A, number, 0, body))


async def test_sessions_of_one_address_are_limited(start: Start, connect: Connect) -> None:
    server = await start(limits=Limits(sessions_per_address=1))
    first = await connect(server, A)
    await first.expect(Welcome(polite=False, peer=""))
    second = await connect(server, B, session="another")
    assert (await second.error()).limit == "sessions-per-address"
    assert await second.closed() == 1008


async def test_joining_must_come_first(start: Start, connect: Connect) -> None:
    client = await connect(await start())
    await client.alive()
    await client.send(Relay("", 1, 0, OFFER))
    assert (await client.error()).code == "not-joined"
    assert await client.closed() == 1008


async def test_joining_must_come_in_time(start: Start, connect: Connect) -> None:
    client = await connect(await start(limits=Limits(join_deadline=0.05)))
    error = await client.error()
    assert (error.code, error.limit) == ("not-joined", "join-deadline")
    assert await client.closed() == 1008


async def test_joining_twice_is_malformed(start: Start, connect: Connect) -> None:
    client = await connect(await start(), A)
    await client.expect(Welcome(polite=False, peer=""))
    await client.send(Join("other", A, A))
    assert (await client.error()).code == "malformed"
    await client.alive()


async def test_who_does_not_read_is_let_go(start: Start, connect: Connect) -> None:
    server = await start(hold=0.05, limits=Limits(send_bytes=500_000, message_burst=1e9))
    first, second = await pair(server, connect)
    second.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
    body = Description("offer", "v=0" + "x" * 60_000, 1)

    async def flood() -> None:
        for number in range(1, 10_000):
            await first.send(Relay(B, number, 0, body))

    sending = asyncio.create_task(flood())
    while await first.receive() != PeerLeft(B, lost=True):
        pass  # what came meanwhile was kept for B, as far as there was room
    sending.cancel()
    await asyncio.wait([sending])
    await second.drop()


async def test_the_journal_keeps_what_the_page_and_the_server_saw(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    client = await connect(await start(), A)
    await client.expect(Welcome(polite=False, peer=""))
    entries = (
        JournalEntry(1, 5.0, "ice-state", {"to": "checking"}),
        JournalEntry(2, 6.0, "ice-state", {"secret": "s"}),
    )
    await client.send(Journal(entries))
    await client.expect(Journaled(2))
    await client.socket.send_str("nonsense")
    await client.error()
    await client.send(Journal(entries))
    await client.expect(Journaled(2))
    lines = entries_of(tmp_path / "journal", "demo")
    assert [line["event"] for line in lines] == ["server-joined", "ice-state", "ice-state", "server-error"]
    assert lines[2]["data"] == {"secret": "[redacted]"}


class Failing(Listener):
    """One that fails at whatever it is told."""

    def _fail(self, *_: object, **__: object) -> None:
        raise RuntimeError("no room")

    joined = refused = heard = ended = _fail


async def test_a_listener_that_fails_takes_nothing_from_a_session(
    start: Start, connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start()
    server.app[SIGNALING].listener = Failing()
    client = await connect(server, A)
    await client.expect(Welcome(polite=False, peer=""))
    await client.send(Journal((JournalEntry(1, 5.0, "ice-state", {}),)))
    await client.expect(Journaled(1))
    await client.socket.send_str("nonsense")
    await client.error()
    rest = (JournalEntry(2, 6.0, "session", {}),)
    server.app[SIGNALING].give_up(HeldPlace("demo", A, A), rest)
    await client.closed()
    assert not server.app[SIGNALING].holds(HeldPlace("demo", A, A))
    other = await connect(server, B)
    await other.expect(Welcome(polite=False, peer=""))
    await other.send(Journal((JournalEntry(1, 7.0, "ice-state", {}),)))
    await other.expect(Journaled(1))  # and so is what came before
    events = [line["event"] for line in entries_of(tmp_path / "journal", "demo") if line["participant"] == A]
    assert sorted(events) == ["ice-state", "server-error", "server-joined", "server-left", "session"]
    assert "no room" in caplog.text


async def test_a_restart_of_the_service_is_told(start: Start, connect: Connect) -> None:
    server = await start()
    client = await connect(server, A)
    await client.expect(Welcome(polite=False, peer=""))
    closing = asyncio.create_task(server.app[SIGNALING].close())
    assert await client.closed() == 1012
    await closing


async def test_a_page_that_goes_before_it_is_answered_is_no_error_of_ours(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aiohttp.web.Request, "transport", None)
    server = await start()
    async with aiohttp.ClientSession() as http:
        async with http.get(server.address + "healthz"):
            """The handshake comes on the same connection: aiohttp has it."""
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(server.address + "ws")
    assert [record for record in caplog.records if record.exc_info] == []


async def test_what_the_journal_has_no_room_for_is_counted(
    start: Start, connect: Connect, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start(limits=Limits(journal_queue=0))
    client = await connect(server, A)
    await client.expect(Welcome(polite=False, peer=""))
    assert server.app[JOURNAL].lost == 1  # that it joined
    rest = encode(Journal((JournalEntry(1, 1.0, "session", {}), JournalEntry(2, 2.0, "session", {}))))
    headers = {PLACE_HEADER: HeldPlace("demo", A, A).to_header()}
    async with http.delete(f"{server.address}place", headers=headers, data=rest) as response:
        assert response.status == 204
    assert server.app[JOURNAL].lost == 4
    assert "the journal has no room" in caplog.text

"""Measures the network it is started in, with STUN by hand (RFC 8489, RFC 5780) and real TCP and TLS connections.

Run as a program in a host's namespace (`lab.py` does), it needs nothing but the standard library and prints one JSON
object. It knows nothing of kinds: what it says is what a host can find out, `None` where nothing came back.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import ipaddress
import json
import os
import select
import socket
import ssl
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

Address = tuple[str, int]

_COOKIE = 0x2112A442
_BINDING_REQUEST = 0x0001
_BINDING_SUCCESS = 0x0101
_CHANGE_REQUEST = 0x0003
_XOR_MAPPED_ADDRESS = 0x0020
_RESPONSE_PORT = 0x0027
_OTHER_ADDRESS = 0x802C
_CHANGE_IP, _CHANGE_PORT = 0x4, 0x2

_RETRANSMIT = 0.15  # seconds; the lab's longest round trip is shorter
_PATIENCE = 1.5  # seconds until silence is an answer: a busy machine takes some of it
_PUNCHING, _PACING = 3.0, 0.05  # seconds; on a busy machine one end begins late
_CONNECT = 2.0  # seconds for a TCP connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Udp:
    """What UDP does here: enough to name a NAT in RFC 4787's words."""

    mapping: str  # EIM, ADM, APDM
    filtering: str  # EIF, ADF, APDF
    translated: bool
    preserves_port: bool  # of the first destination
    hairpinning: bool
    address: str  # the first mapped one
    rtt_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """Whether an answer to a STUN request came over each way to a TURN server."""

    tcp_3478: bool
    tcp_443: bool
    tls_443: bool
    proxy_443: bool | None  # by the HTTP proxy, TLS; None where there is no proxy
    proxy_3478: bool | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A binding response."""

    mapped: Address
    other: Address | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """A binding request: from which socket, to whom, and what the server shall change in its answer."""

    sock: socket.socket
    to: Address
    change: int = 0
    response_port: int | None = None


def main() -> None:
    """Probe what the arguments say, print what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["udp", "address", "tcp", "lifetime", "punch"])
    parser.add_argument("server")
    parser.add_argument("--nat64", help="the prefix under which IPv4 addresses are found")
    parser.add_argument("--proxy", help="address and port of an HTTP proxy")
    parser.add_argument("--peers", type=int, default=0, help="how many peers to punch holes to")
    parser.add_argument("--silence", type=float, default=0.0, help="seconds that a mapping is left alone")
    args = parser.parse_args()
    found: Udp | Tcp | str | bool | list[bool] | None
    match args.what:
        case "udp":
            found = measure_udp(args.server, nat64=args.nat64)
        case "address":
            found = outer_address(args.server)
        case "tcp":
            found = measure_tcp(args.server, proxy=args.proxy)
        case "punch":
            found = punch(args.server.split(","), args.peers)
        case _:
            found = survives(args.server, args.silence)
    json.dump(found, sys.stdout, default=dataclasses.asdict)


def measure_udp(server: str, *, nat64: str | None = None) -> Udp | None:
    """Name mapping (RFC 5780, 4.3), filtering (4.4) and hairpinning (3.4); None: no UDP answer at all.

    Mapping and filtering use sockets of their own: what one asks would open doors for the other.
    """
    with contextlib.ExitStack() as stack:
        one, changed, port_changed, first, second = (stack.enter_context(_udp_socket(server)) for _ in range(5))
        primary = (server, 3478)
        begin = _ask([Ask(sock, primary) for sock in (one, changed, port_changed, first, second)])
        if not begin[0]:
            return None
        if any(reply is None for reply in begin) or not begin[0].other:
            raise RuntimeError("the STUN server answers some requests only, or has no second address")
        other = (_through(nat64, begin[0].other[0]), begin[0].other[1])
        to_address, to_port, anybody, same_address = _ask(
            [
                Ask(one, (other[0], 3478)),
                Ask(one, other),
                Ask(changed, primary, _CHANGE_IP | _CHANGE_PORT),
                Ask(port_changed, primary, _CHANGE_PORT),
            ]
        )
        if not to_address or not to_port:
            raise RuntimeError("the STUN server's second address does not answer")
        mapped = [reply.mapped for reply in (begin[0], to_address, to_port)]
        local = one.getsockname()
        return Udp(
            mapping="EIM" if mapped[0] == mapped[1] == mapped[2] else "ADM" if mapped[1] == mapped[2] else "APDM",
            filtering="EIF" if anybody else "ADF" if same_address else "APDF",
            translated=mapped[0][0] != _own_address(server),
            preserves_port=mapped[0][1] == local[1],
            hairpinning=_turns_back(first, second, begin[3], begin[4]) if not nat64 else False,
            address=mapped[0][0],
            rtt_ms=tuple(_round_trips(one, primary)),
        )


def outer_address(server: str) -> str | None:
    """Return the address that the STUN server sees; None: no answer."""
    with _udp_socket(server) as sock:
        (reply,) = _ask([Ask(sock, (server, 3478))])
    return reply.mapped[0] if reply else None


def measure_tcp(server: str, *, proxy: str | None = None) -> Tcp:
    """Try every way that a TURN server offers, to the answer to a request: a connection alone proves nothing."""
    with ThreadPoolExecutor() as pool:
        ways = [
            pool.submit(_answers, server, 3478, tls=False),
            pool.submit(_answers, server, 443, tls=False),
            pool.submit(_answers, server, 443, tls=True),
            *(
                [pool.submit(_answers, server, port, tls=port == 443, proxy=proxy) for port in (443, 3478)]
                if proxy
                else []
            ),
        ]
        plain, plain_443, tls_443, *proxied = [way.result() for way in ways]
    return Tcp(
        tcp_3478=plain,
        tcp_443=plain_443,
        tls_443=tls_443,
        proxy_443=proxied[0] if proxied else None,
        proxy_3478=proxied[1] if proxied else None,
    )


def survives(server: str, silence: float) -> bool:
    """Say whether a mapping is still there after so many seconds of silence (RFC 5780, 4.6).

    The server is asked from a second socket to answer to the port of the first one's mapping (RESPONSE-PORT): asking
    from the first would make it anew.
    """
    with _udp_socket(server) as kept, _udp_socket(server) as asking:
        (begin,) = _ask([Ask(kept, (server, 3478))])
        if not begin:
            raise RuntimeError("no answer from the STUN server")
        time.sleep(silence)  # silence is what is measured
        request, transaction = _request(Ask(asking, (server, 3478), response_port=begin.mapped[1]))
        asking.sendto(request, (server, 3478))
        readable, _, _ = select.select([kept], [], [], _PATIENCE)
        return bool(readable) and kept.recv(2048)[8:20] == transaction


def punch(servers: list[str], peers: int) -> list[bool]:
    """Try to reach each of several peers without a relay (RFC 5128, 3.3), over the family of each of the servers.

    As ICE does it: learn the outer address of a socket, tell it and the inner one to the peer (here: by standard output
    and input), send to the peer's from the same socket, answer whoever gets through and knows the pair's secret: inner
    addresses may lead to a stranger. A peer is reached when its answer came.
    """
    with contextlib.ExitStack() as stack:
        groups = [[stack.enter_context(_udp_socket(server)) for server in servers] for _ in range(peers)]
        asks = [Ask(sock, (server, 3478)) for group in groups for sock, server in zip(group, servers, strict=True)]
        mapped = [reply.mapped if reply else None for reply in _ask(asks)]
        inner = [(_own_address(ask.to[0]), int(ask.sock.getsockname()[1])) for ask in asks]
        told = [
            [at for at in (*mapped[first : first + len(servers)], *inner[first : first + len(servers)]) if at]
            for first in range(0, len(asks), len(servers))
        ]
        print(json.dumps(told), flush=True)  # noqa: T201 - told to the peers
        peers_told = json.loads(sys.stdin.readline())
        secrets = [peer["secret"].encode() for peer in peers_told]
        theirs = [[(str(host), int(port)) for host, port in peer["addresses"]] for peer in peers_told]
        owners = {sock: number for number, group in enumerate(groups) for sock in group}
        reached = [False] * peers
        deadline = time.monotonic() + _PUNCHING
        while (now := time.monotonic()) < deadline:
            for sock, number in owners.items():
                for address in theirs[number]:
                    if (":" in address[0]) == (sock.family is socket.AF_INET6):
                        _send(sock, b"check" + secrets[number], address)
            again = now + _PACING
            while (left := again - time.monotonic()) > 0:
                for sock in select.select(list(owners), [], [], left)[0]:
                    number = owners[sock]
                    reached[number] |= _answered(sock, theirs[number], secrets[number])
        return reached


def _answered(sock: socket.socket, theirs: list[Address], secret: bytes) -> bool:
    """Answer a check from wherever it came; say whether this is an answer to one's own.

    An address that was not told is a peer-reflexive one: it is checked as well from then on (RFC 8445, 7.3.1.3).
    """
    with contextlib.suppress(OSError):
        data, source = sock.recvfrom(2048)
        if data == b"check" + secret:
            _send(sock, b"answer" + secret, source)
            if source[:2] not in theirs:
                theirs.append(source[:2])
        return data == b"answer" + secret
    return False


def _send(sock: socket.socket, data: bytes, to: Address) -> None:
    with contextlib.suppress(OSError):  # an unreachable network, or an ICMP error that came back
        sock.sendto(data, to)


def _ask(asks: list[Ask]) -> list[Reply | None]:
    """Send requests side by side, again while there is no answer (RFC 8489, 6.2.1); collect until patience ends."""
    transactions: dict[bytes, int] = {}
    packets = []
    for number, ask in enumerate(asks):
        packet, transaction = _request(ask)
        packets.append(packet)
        transactions[transaction] = number
    replies: list[Reply | None] = [None] * len(asks)
    start = time.monotonic()
    again = start
    while (now := time.monotonic()) < start + _PATIENCE and None in replies:
        if now >= again:
            again += _RETRANSMIT
            for ask, packet, reply in zip(asks, packets, replies, strict=True):
                if reply is None:
                    _send(ask.sock, packet, ask.to)
        readable, _, _ = select.select({ask.sock for ask in asks}, [], [], max(0.0, again - time.monotonic()))
        for sock in readable:
            with contextlib.suppress(OSError):  # an ICMP error that came back
                data = sock.recv(2048)
                at = transactions.get(data[8:20])
                if at is not None and replies[at] is None:
                    replies[at] = _reply(data, time.monotonic() - start)
    return replies


def _request(ask: Ask) -> tuple[bytes, bytes]:
    attributes = b""
    if ask.change:
        attributes += struct.pack("!HHI", _CHANGE_REQUEST, 4, ask.change)
    if ask.response_port is not None:
        attributes += struct.pack("!HHHxx", _RESPONSE_PORT, 4, ask.response_port)
    transaction = os.urandom(12)
    return struct.pack("!HHI", _BINDING_REQUEST, len(attributes), _COOKIE) + transaction + attributes, transaction


def _reply(data: bytes, seconds: float) -> Reply | None:
    kind, length = struct.unpack("!HH", data[:4])
    if kind != _BINDING_SUCCESS:
        return None
    mapped = other = None
    rest = data[20 : 20 + length]
    while len(rest) >= 4:
        attribute, size = struct.unpack("!HH", rest[:4])
        value = rest[4 : 4 + size]
        if attribute == _XOR_MAPPED_ADDRESS:
            mapped = _address(value, struct.pack("!I", _COOKIE) + data[8:20])
        elif attribute == _OTHER_ADDRESS:
            other = _address(value, bytes(16))
        rest = rest[4 + (size + 3) // 4 * 4 :]
    return Reply(mapped, other, seconds) if mapped else None


def _address(value: bytes, mask: bytes) -> Address:
    """Read an address attribute, XORed with the cookie and the transaction (RFC 8489, 14.2), or with nothing."""
    (port,) = struct.unpack("!H", value[2:4])
    raw = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
    return str(ipaddress.ip_address(raw)), port ^ struct.unpack("!H", mask[:2])[0]


def _turns_back(first: socket.socket, second: socket.socket, one: Reply | None, two: Reply | None) -> bool:
    """Say whether two sockets here reach each other by their mapped addresses (RFC 5780, 3.4).

    Both send, as two peers do, so that filtering refuses neither for lack of a pinhole. The answer has to come from the
    mapped address, not from the inner one (RFC 4787, REQ-9a: "external source IP address and port").
    """
    if not one or not two:
        return False
    for _ in range(2):
        _send(first, b"hairpin", two.mapped)
        _send(second, b"hairpin", one.mapped)
    deadline = time.monotonic() + _PATIENCE
    heard: set[socket.socket] = set()
    while len(heard) < 2 and (left := deadline - time.monotonic()) > 0:
        for sock in select.select([first, second], [], [], left)[0]:
            with contextlib.suppress(OSError):
                data, source = sock.recvfrom(2048)
                if data == b"hairpin" and source[:2] == (two if sock is first else one).mapped:
                    heard.add(sock)
    return len(heard) == 2


def _round_trips(sock: socket.socket, server: Address, count: int = 10) -> list[float]:
    replies = [_ask([Ask(sock, server)])[0] for _ in range(count)]
    return [round(reply.seconds * 1000, 2) for reply in replies if reply]


def _answers(server: str, port: int, *, tls: bool, proxy: str | None = None) -> bool:
    """Connect, and ask for a binding in whatever stream there is (RFC 8489, 6.2.2)."""
    try:
        with contextlib.ExitStack() as stack:
            to = (server, port)
            if proxy:
                name, _, number = proxy.rpartition(":")
                to = (name, int(number))
            stream = stack.enter_context(socket.create_connection(to, timeout=_CONNECT))
            if proxy:
                stream.sendall(f"CONNECT {server}:{port} HTTP/1.1\r\nHost: {server}:{port}\r\n\r\n".encode())
                if b" 200 " not in _until(stream, b"\r\n\r\n").split(b"\r\n")[0]:
                    return False
            if tls:
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE  # who it is does not matter here: that TLS gets through does
                stream = stack.enter_context(context.wrap_socket(stream))
            request, transaction = _request(Ask(stream, (server, port)))
            stream.sendall(request)
            return transaction in stream.recv(2048)
    except OSError:
        return False


def _until(stream: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = stream.recv(1)
        if not more:
            break
        data += more
    return data


def _udp_socket(server: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", 0))
    return sock


def _own_address(server: str) -> str:
    """Return the local address that packets to the server have: the kernel tells once a socket is connected."""
    with _udp_socket(server) as sock:
        sock.connect((server, 3478))
        return str(sock.getsockname()[0])


def _through(nat64: str | None, address: str) -> str:
    """Put an IPv4 address into a NAT64's prefix (RFC 6052, 2.2)."""
    if not nat64:
        return address
    return str(ipaddress.IPv6Network(nat64)[int(ipaddress.IPv4Address(address))])


if __name__ == "__main__":
    main()

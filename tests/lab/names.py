"""A resolver for one host, in its own namespace: what a system's caching stub is. WebRTC asks no /etc/hosts, only DNS.

Run as a program it answers on 127.0.0.1, port 53, from a table in the form of /etc/hosts. It knows no other name and
says so at once (NXDOMAIN, RFC 1035, 4.1.1): a browser that waits for names in vain is a slow one.
"""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_A, _AAAA = 1, 28
_RESPONSE, _RECURSION_AVAILABLE, _NO_SUCH_NAME = 0x8000, 0x0080, 3
_SECONDS = 60

Table = dict[str, list[IPv4Address | IPv6Address]]


def main() -> None:
    """Answer until the end."""
    table = read(Path(sys.argv[1]).read_text())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 53))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            query, source = sock.recvfrom(2048)
            if response := answer(query, table):
                sock.sendto(response, source)


def read(text: str) -> Table:
    """Read a table: an address and its names, a line."""
    table: Table = {}
    for line in text.splitlines():
        address, *names = line.split()
        for name in names:
            table.setdefault(name, []).append(ip_address(address))
    return table


def answer(query: bytes, table: Table) -> bytes | None:
    """Answer one question (RFC 1035, 4.1); None: it is none."""
    if len(query) < 17 or struct.unpack("!H", query[4:6])[0] != 1:
        return None
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
        if at + 5 > len(query):
            return None
    question = query[12 : at + 5]
    (wanted,) = struct.unpack("!H", query[at + 1 : at + 3])
    found = table.get(".".join(labels).lower())
    records = [
        struct.pack("!HHHIH", 0xC00C, wanted, 1, _SECONDS, len(address.packed)) + address.packed
        for address in found or []
        if wanted == (_A if address.version == 4 else _AAAA)
    ]
    (flags,) = struct.unpack("!H", query[2:4])
    flags = (flags & 0x0100) | _RESPONSE | _RECURSION_AVAILABLE | (0 if found else _NO_SUCH_NAME)
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)


if __name__ == "__main__":
    main()

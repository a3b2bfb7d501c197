"""The lab's resolver: bytes in, bytes out."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from tests.lab.names import answer, read

_TABLE = read("192.0.2.10 server.lab\n2001:db8::10 server.lab\n192.0.2.20 stun.lab\n")


def _query(name: str, wanted: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", wanted, 1)


def test_each_family_is_answered_for_itself() -> None:
    for wanted, address in ((1, "192.0.2.10"), (28, "2001:db8::10")):
        response = answer(_query("Server.LAB", wanted), _TABLE)
        assert response
        assert struct.unpack("!HHHH", response[:8]) == (7, 0x8180, 1, 1)
        assert response.endswith(ip_address(address).packed)


def test_a_name_without_an_address_of_the_family_is_known_all_the_same() -> None:
    response = answer(_query("stun.lab", 28), _TABLE)
    assert response
    assert struct.unpack("!HHHH", response[:8]) == (7, 0x8180, 1, 0)


def test_another_name_is_refused_at_once() -> None:
    response = answer(_query("example.org", 1), _TABLE)
    assert response
    assert struct.unpack("!HHHH", response[:8]) == (7, 0x8183, 1, 0)


def test_what_is_no_question_has_no_answer() -> None:
    assert answer(b"", _TABLE) is None
    assert answer(_query("server.lab", 1)[:20], _TABLE) is None

"""What the record does not hold."""

from typing import TYPE_CHECKING

import pytest

from backend.journal.privacy import clean, redact, shorten

if TYPE_CHECKING:
    from pyapp.protocol.wire import Scalar


@pytest.mark.parametrize(
    "name",
    [
        *("credential", "turnCredential", "password", "secret", "invitation", "invite", "token", "key", "api-key"),
        *("authorization", "Authorization", "ice-pwd"),
    ],
)
def test_fields_with_these_names_are_redacted(name: str) -> None:
    assert redact({name: "value"}) == {name: "[redacted]"}
    assert redact({name: None}) == {name: None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJkZW1vIn0.c2ln-_x end", "Bearer [redacted] end"),
        ("a=ice-ufrag:abcd\r\na=ice-pwd:se+c/ret\r\n", "a=ice-ufrag:abcd\r\na=ice-pwd:[redacted]\r\n"),
        ("https://h/?session=a#invite=anything", "https://h/?session=a#invite=[redacted]"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host", "candidate:1 1 udp 1 192.0.2.1 9 typ host"),
    ],
)
def test_secrets_inside_a_text_are_redacted(text: str, expected: str) -> None:
    assert redact({"text": text}) == {"text": expected}


def test_harmless_fields_stay() -> None:
    data: dict[str, Scalar] = {"keyboard": "x", "url": "turn:t:3478", "username": "1:demo", "code": 401}
    assert clean(data) == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:192.0.2.77", "::ffff:192.0.2.0"),
        ("fe80::1", "fe80::"),
        ("host udp 192.0.2.77:5000 over tls", "host udp 192.0.2.0:5000 over tls"),
        (
            "candidate:1 1 udp 2122 2001:db8:1:2::77 46154 typ srflx raddr 10.1.2.3 rport 9",
            "candidate:1 1 udp 2122 2001:db8:1:: 46154 typ srflx raddr 10.1.2.0 rport 9",
        ),
        ("c=IN IP4 203.0.113.9\r\n", "c=IN IP4 203.0.113.0\r\n"),
        ("[2001:db8:1:2::77]:443 did not answer.", "[2001:db8:1::]:443 did not answer."),
        ("no answer from 203.0.113.9.", "no answer from 203.0.113.0."),
        # Nobody's address.
        ("8c7f2d4e-0b1a-4c55-9f0e-0123456789ab.local", "8c7f2d4e-0b1a-4c55-9f0e-0123456789ab.local"),
        ("127.0.0.1 ::1 0.0.0.0 ::", "127.0.0.1 ::1 0.0.0.0 ::"),
        ("at 12:04:10 of 999.1.2.3", "at 12:04:10 of 999.1.2.3"),
        ("sha-256 AB:CD:EF:01:23:45:67:89:AB:CD:EF:01", "sha-256 AB:CD:EF:01:23:45:67:89:AB:CD:EF:01"),
    ],
)
def test_addresses_inside_a_text_are_shortened(text: str, expected: str) -> None:
    assert shorten(text) == expected
    assert shorten(expected) == expected


def test_addresses_of_relays_and_servers_stay() -> None:
    told: dict[str, Scalar] = {
        "local_type": "relay",
        "local_address": "198.51.100.7",
        "remote_type": "srflx",
        "remote_address": "203.0.113.9",
        "server": "turn:198.51.100.7:3478?transport=udp",
        "url": "stun:[2001:db8:1:2::77]:3478",
    }
    assert clean(told) == told | {"remote_address": "203.0.113.0"}
    assert clean({"type": "relay", "address": "198.51.100.7"})["address"] == "198.51.100.7"
    assert clean({"type": "host", "address": "192.168.1.5"})["address"] == "192.168.1.0"


def test_who_wants_whole_addresses_gets_them_but_no_secrets() -> None:
    told: dict[str, Scalar] = {"address": "192.168.1.5", "credential": "x"}
    assert clean(told, keep_addresses=True) == {"address": "192.168.1.5", "credential": "[redacted]"}

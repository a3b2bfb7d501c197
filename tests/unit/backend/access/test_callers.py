"""Who is on this machine, and which pages may call."""

import pytest

from backend.access.callers import host_name, host_port, is_loopback, is_own_origin, site


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "192.168.1.2", "::", "0.0.0.0", "::2"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "console.example"),
        ("http://localhost:8080", "localhost:8080"),
        ("https://console.example", "console.example"),
        ("https://console.example", "console.example:443"),
        ("https://Console.Example:443", "console.example"),
        ("http://console.example", "console.example:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_own_origins(origin: str | None, host: str) -> None:
    assert is_own_origin(origin, host=host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "console.example"),
        ("", "console.example"),
        ("https://evil.example", "console.example"),
        ("http://localhost:9999", "localhost:8080"),
        ("http://localhost", "localhost:8080"),
        ("http://localhost:8080", "127.0.0.1:8080"),
        ("https://console.example.evil.example", "console.example"),
        ("file://console.example", "console.example"),
        ("chrome-extension://console.example", "console.example"),
        ("http://console.example:99999999", "console.example"),
        ("http://[", "console.example"),
        ("https://console.example", ""),
    ],
)
def test_foreign_origins(origin: str, host: str) -> None:
    assert not is_own_origin(origin, host=host)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_what_is_counted_as_one_caller(address: str, expected: str) -> None:
    assert site(address) == expected


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("a.example", "a.example", None),
        ("a.example:81", "a.example", 81),
        ("[::1]", "::1", None),
        ("[::1]:82", "::1", 82),
        ("a:x", "a", None),
        ("", "", None),
    ],
)
def test_parts_of_a_host_header(host: str, name: str, port: int | None) -> None:
    assert (host_name(host), host_port(host)) == (name, port)

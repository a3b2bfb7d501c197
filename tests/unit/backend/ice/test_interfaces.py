"""What a local relay listens on, relays from and relays to."""

import json
from ipaddress import ip_interface
from pathlib import Path

import pytest

from backend.ice import interfaces
from backend.ice.interfaces import (
    find_program,
    own_addresses,
    parse_addresses,
    primary_addresses,
    relay_network,
    resolve_all,
)
from backend.settings import StartError

ADDRESSES = [
    ip_interface(text)
    for text in (
        "127.0.0.1/8",
        "::1/128",
        "192.168.1.7/24",
        "172.17.0.1/16",
        "8.8.4.4/24",
        "fd00::7/64",
        "fe80::1/64",
        "2600:1::7/64",
    )
]


def test_on_loopback_only_this_machine_is_relayed_to() -> None:
    network = relay_network(["127.0.0.1"], addresses=ADDRESSES, primary=["192.168.1.7"])
    assert network.listening == network.relaying == ("127.0.0.1",)
    assert network.is_loopback
    assert network.allowed == ("127.0.0.1", "::1", "192.168.1.7", "172.17.0.1", "8.8.4.4", "fd00::7", "2600:1::7")


def test_on_every_address_the_private_subnets_are_relayed_to() -> None:
    network = relay_network(["0.0.0.0", "::"], addresses=ADDRESSES, primary=["192.168.1.7", "2600:1::7"])
    assert network.listening == (
        "127.0.0.1", "192.168.1.7", "172.17.0.1", "8.8.4.4", "::1", "fd00::7", "2600:1::7",
    )  # fmt: skip
    assert network.relaying == ("192.168.1.7", "2600:1::7")
    assert not network.is_loopback
    assert network.allowed == (
        "192.168.1.7",
        "172.17.0.1",
        "8.8.4.4",
        "fd00::7",
        "2600:1::7",
        "192.168.1.0-192.168.1.255",
        "172.17.0.0-172.17.255.255",
        "fd00::-fd00::ffff:ffff:ffff:ffff",
    )


def test_every_ipv4_address_leaves_ipv6_alone() -> None:
    network = relay_network(["0.0.0.0"], addresses=ADDRESSES)
    assert network.listening == ("127.0.0.1", "192.168.1.7", "172.17.0.1", "8.8.4.4")
    assert network.relaying == ("192.168.1.7", "172.17.0.1", "8.8.4.4")


def test_one_address() -> None:
    network = relay_network(["192.168.1.7"], addresses=ADDRESSES, primary=["8.8.4.4"])
    assert network.listening == network.relaying == ("192.168.1.7",)


def test_a_single_address_is_no_subnet() -> None:
    network = relay_network(["10.0.0.1"], addresses=[ip_interface("10.0.0.1/32")])
    assert network.allowed == ("10.0.0.1",)


def test_the_output_of_ip_is_read() -> None:
    output = [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}, {"local": "::1", "prefixlen": 128}]},
        {"ifname": "ifb0", "addr_info": []},
        {},
        {"ifname": "eth0", "addr_info": [{"local": "192.168.1.7", "prefixlen": 24}, {}]},
    ]
    expected = [ip_interface(text) for text in ("127.0.0.1/8", "::1/128", "192.168.1.7/24")]
    assert parse_addresses(json.dumps(output).encode()) == expected


def test_this_machine_has_loopback() -> None:
    assert ip_interface("127.0.0.1/8") in own_addresses()


def test_without_the_program_loopback_and_the_primary_addresses_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "find_program", lambda _: None)
    assert [str(address.ip) for address in own_addresses()] == ["127.0.0.1", *primary_addresses()]


@pytest.mark.parametrize("said", ["exit 1", "echo 'ip: -json is not known'"])
def test_a_program_that_cannot_tell_them_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    (tmp_path / "ip").write_text(f"#!/bin/sh\n{said}\n")
    (tmp_path / "ip").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [str(address.ip) for address in own_addresses()] == ["127.0.0.1", *primary_addresses()]


def test_a_system_program_is_found_with_an_empty_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_program("ip")


def test_a_host_is_resolved() -> None:
    assert resolve_all("127.0.0.1") == ["127.0.0.1"]
    assert resolve_all("::1") == ["::1"]
    assert resolve_all("::") == ["0.0.0.0", "::"]
    assert "127.0.0.1" in resolve_all("localhost")
    with pytest.raises(StartError, match=r"--host 300\.1\.1\.1"):
        resolve_all("300.1.1.1")

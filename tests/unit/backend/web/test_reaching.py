"""Which addresses an operator's page offers for links."""

from ipaddress import ip_interface

import pytest

from backend.web.reaching import other_addresses, reached_at

OWN = [
    ip_interface(text)
    for text in ("127.0.0.1/8", "::1/128", "172.17.0.1/16", "192.0.2.5/24", "fe80::1/64", "2001:db8::5/64")
]


def test_every_address_of_the_family_the_usual_one_first() -> None:
    found = reached_at("0.0.0.0", OWN, ["192.0.2.5", "2001:db8::5"], port=8080, is_secure=False)
    assert found == ("http://192.0.2.5:8080/", "http://172.17.0.1:8080/")
    assert reached_at("::", OWN, [], port=443, is_secure=True) == ("https://[2001:db8::5]/",)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_who_listens_on_this_machine_only_is_reached_from_no_other(host: str) -> None:
    assert other_addresses([host], 8080, is_secure=False) == ()


def test_one_address_is_one_address() -> None:
    assert other_addresses(["192.0.2.5"], 80, is_secure=False) == ("http://192.0.2.5/",)
    assert other_addresses(["console.example.org"], 8443, is_secure=True) == ("https://console.example.org:8443/",)


def test_they_are_not_endless() -> None:
    own = [ip_interface(f"10.0.{number}.1/24") for number in range(40)]
    assert len(reached_at("0.0.0.0", own, [], port=1, is_secure=False)) == 8


def test_several_hosts_are_each_told_once() -> None:
    hosts = ["127.0.0.1", "192.0.2.5", "192.0.2.5", "2001:db8::5"]
    assert other_addresses(hosts, 8080, is_secure=True) == (
        "https://192.0.2.5:8080/",
        "https://[2001:db8::5]:8080/",
    )

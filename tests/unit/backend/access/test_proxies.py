"""Whose word is believed."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access.proxies import Caller, caller

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
PROXY, CLIENT = "10.0.0.1", "203.0.113.9"


def asked(peer: str = PROXY, **headers: str | list[str]) -> Caller:
    given = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in headers.items()}
    return caller(peer, host="inside", headers=given, proxies=PROXIES, identity_header="X-Forwarded-Email")


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, PROXY),
        ({"x_forwarded_for": CLIENT}, CLIENT),
        ({"x_forwarded_for": f"192.0.2.66, {CLIENT}"}, CLIENT),
        ({"x_forwarded_for": f"{CLIENT}, 10.9.9.9"}, CLIENT),
        ({"x_forwarded_for": ["192.0.2.66", CLIENT]}, CLIENT),
        ({"x_forwarded_for": f"{CLIENT}:4711"}, CLIENT),
        ({"x_forwarded_for": "[2001:db8::1]:4711"}, "2001:db8::1"),
        ({"x_forwarded_for": "2001:db8::1"}, "2001:db8::1"),
        ({"x_forwarded_for": "10.1.1.1"}, "10.1.1.1"),
        ({"x_forwarded_for": f"{CLIENT}, unknown"}, PROXY),
        ({"forwarded": f"for={CLIENT};proto=https"}, CLIENT),
        ({"forwarded": f'for=192.0.2.66, For="{CLIENT}:80"'}, CLIENT),
        ({"forwarded": 'for="[2001:db8::1]:80"'}, "2001:db8::1"),
        ({"forwarded": "for=_hidden"}, PROXY),
        ({"forwarded": "proto=https"}, PROXY),
        ({"forwarded": f"for={CLIENT}", "x_forwarded_for": CLIENT}, CLIENT),
        ({"forwarded": "for=192.0.2.66", "x_forwarded_for": CLIENT}, PROXY),
    ],
)
def test_the_address_is_the_last_that_is_no_proxy_of_ours(headers: dict[str, str | list[str]], address: str) -> None:
    assert asked(PROXY, **headers).address == address


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({}, "inside"),
        ({"x_forwarded_host": "outside.example"}, "outside.example"),
        ({"x_forwarded_host": "outside.example", "x_forwarded_port": "8443"}, "outside.example:8443"),
        ({"x_forwarded_host": "outside.example:1", "x_forwarded_port": "8443"}, "outside.example:1"),
        ({"x_forwarded_port": "8443"}, "inside:8443"),
        ({"x_forwarded_port": "x"}, "inside"),
        ({"forwarded": 'for=a;host="outside.example:8443"'}, "outside.example:8443"),
        ({"forwarded": "host=evil.example", "x_forwarded_host": "outside.example"}, "inside"),
        ({"forwarded": f"for=192.0.2.66;host=evil.example, for={CLIENT}"}, "inside"),
        ({"forwarded": f"for={CLIENT};host=outside.example, for=10.1.1.1;host=between"}, "outside.example"),
        ({"forwarded": f"for={CLIENT}, for=10.1.1.1;host=between"}, "between"),
        ({"x_forwarded_host": "evil.example, outside.example"}, "outside.example"),
        ({"x_forwarded_for": f"{CLIENT}, 10.1.1.1", "x_forwarded_host": "outside.example, between"}, "outside.example"),
        ({"x_forwarded_for": f"{CLIENT}, 10.1.1.1", "x_forwarded_host": "outside.example"}, "outside.example"),
    ],
)
def test_the_host_is_what_the_client_asked_for(headers: dict[str, str | list[str]], host: str) -> None:
    assert asked(PROXY, **headers).host == host


def test_the_scheme_is_what_the_client_asked_by() -> None:
    chain = f"192.0.2.66, {CLIENT}, 10.1.1.1"
    assert asked(x_forwarded_for=chain, x_forwarded_proto="ftp, https, http").scheme == "https"
    assert (
        asked(forwarded=f"for=192.0.2.66;proto=ftp, for={CLIENT};proto=HTTPS, for=10.1.1.1;proto=http").scheme
        == "https"
    )


@pytest.mark.parametrize(
    ("sent", "identity"),
    [
        ("ada@example.org", "ada@example.org"),  # oauth2-proxy's X-Forwarded-Email, Authelia's Remote-Email
        (" ada@example.org\t", "ada@example.org"),
        ("Doe, Jane", "Doe, Jane"),  # Authelia's Remote-Name
        ('"Doe, Jane" <jane@example.org>', '"Doe, Jane" <jane@example.org>'),
        (["ada@example.org", "ada@example.org"], "ada@example.org"),  # two proxies that say the same
        (["", "ada@example.org"], "ada@example.org"),
        ("", ""),
        ([], ""),
    ],
)
def test_a_single_sign_on_names_the_operator(sent: str | list[str], identity: str) -> None:
    who = asked(x_forwarded_email=sent)
    assert (who.identity, who.has_identities) == (identity, False)


def test_of_several_identities_none_is_believed() -> None:
    """One of them may be the client's, and which is not known."""
    for values in (["eve@example.org", "ada@example.org"], ["ada@example.org", "eve@example.org, ada@example.org"]):
        who = asked(x_forwarded_email=values)
        assert (who.identity, who.has_identities) == ("", True)


def test_a_proxy_that_adds_an_empty_identity_says_that_nobody_signed_in() -> None:
    """HAProxy's `add-header` does so: the line before is the client's."""
    for values in (["eve@example.org", ""], ["eve@example.org", " "], ["", "eve@example.org", ""]):
        who = asked(x_forwarded_email=values)
        assert (who.identity, who.has_identities) == ("", True)
    assert asked(x_forwarded_email=["", ""]).has_identities is False


@given(st.text(), st.text(), st.text(), st.text())
def test_nobody_else_is_believed(addresses: str, forwarded: str, host: str, email: str) -> None:
    for peer in (CLIENT, ""):
        who = asked(
            peer, x_forwarded_for=addresses, forwarded=forwarded, x_forwarded_host=host, x_forwarded_email=email
        )
        assert who == Caller(peer, "inside")


@given(st.text(), st.text(), st.text())
def test_any_text_is_taken(addresses: str, forwarded: str, port: str) -> None:
    who = asked(x_forwarded_for=addresses, forwarded=forwarded, x_forwarded_port=port)
    assert who.address


def test_an_identity_that_is_no_utf_8_is_text_nevertheless() -> None:
    # Latin-1, as aiohttp decodes it. In the audit log it would be no JSON, and nobody of that name could join.
    assert asked(x_forwarded_email="J\udcf6rg").identity == "J\ufffdrg"

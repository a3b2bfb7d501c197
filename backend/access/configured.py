"""`[access]` and `[limits]` of the configuration file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NoReturn
from urllib.parse import urlsplit

from backend.access.limits import Limits

Fail = Callable[[str], NoReturn]
"""Raises an error with the rule that was broken."""


@dataclass(frozen=True, slots=True)
class ConfiguredAccess:
    """The proxies whose headers are believed, further origins of the page, and the header that names an operator."""

    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    origins: tuple[str, ...] = ()
    identity_header: str = ""


def read_access(table: Any, fail: Fail) -> ConfiguredAccess:
    """Return what is in `[access]`, or `fail`."""
    known = ("proxies", "origins", "identity_header")
    _check_keys("access", table, known, fail)
    proxies, origins = (_texts(name, table.get(name, []), fail) for name in ("proxies", "origins"))
    networks = []
    for text in proxies:
        try:
            networks.append(ip_network(text))
        except ValueError:
            fail(f"[access] proxies: {text!r} is no address and no network such as '10.0.0.0/8'")
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
            fail(f"[access] origins: {origin!r} is no origin such as 'https://console.example.org:8443'")
    header = table.get("identity_header", "")
    if not isinstance(header, str):
        fail("[access] identity_header: must be text")
    if header and not networks:
        fail("[access] identity_header: is believed only from [access] proxies, and there are none")
    return ConfiguredAccess(tuple(networks), tuple(origin.lower() for origin in origins), header)


def read_limits(table: Any, limits: Limits, fail: Fail) -> Limits:
    """Return `limits` with those in `[limits]` changed, or `fail`."""
    kinds = {item.name: type(getattr(limits, item.name)) for item in fields(Limits)}
    _check_keys("limits", table, tuple(kinds), fail)
    for name, value in table.items():
        if type(value) not in ((int, float) if kinds[name] is float else (int,)) or not 0 < value < 2**53:
            fail(f"[limits] {name}: must be a {'whole ' if kinds[name] is int else ''}number above 0")
    return replace(limits, **table)


def _check_keys(name: str, table: Any, known: tuple[str, ...], fail: Fail) -> None:
    if not isinstance(table, Mapping):
        fail(f"{name!r} must be written as [{name}]")
    for key in table:
        if key not in known:
            fail(f"[{name}]: unknown key {key!r}; known are {', '.join(known)}")


def _texts(name: str, value: Any, fail: Fail) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        fail(f"[access] {name}: must be a list of texts")
    return list(value)

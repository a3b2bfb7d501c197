"""`[access]` and `[limits]` of the configuration file."""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, NoReturn

from backend.access.callers import DEFAULT_PORTS
from backend.access.limits import Limits
from backend.settings import Mistakes

Fail = Callable[[str], NoReturn]
"""Raises `StartError` with the rule that was broken."""


@dataclass(frozen=True, slots=True)
class ConfiguredAccess:
    """The proxies whose headers are believed, further origins of the page, and the header that names an operator."""

    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    origins: tuple[str, ...] = ()
    identity_header: str = ""
    metrics: tuple[IPv4Network | IPv6Network, ...] = ()
    """Who may ask for `GET /metrics`."""


def read_access(table: Any, fail: Fail) -> ConfiguredAccess:
    """Return what is in `[access]`. Raises `StartError` with a line for each mistake, as `fail` writes it."""
    mistakes = Mistakes()
    with mistakes.collecting():
        _check_is_table("access", table, fail)
    mistakes.stop_if_any()
    _check_keys("access", table, ("proxies", "origins", "identity_header", "metrics"), fail, mistakes)
    proxies, origins = (_texts(name, table, fail, mistakes) for name in ("proxies", "origins"))
    networks = _networks("proxies", proxies, fail, mistakes)
    metrics = _networks("metrics", _texts("metrics", table, fail, mistakes), fail, mistakes)
    written = {origin: _origin(origin) for origin in origins}
    for origin, known in written.items():
        with mistakes.collecting():
            if known is None:
                fail(f"[access] origins: {origin!r} is no origin such as 'https://console.example.org:8443'")
    header = table.get("identity_header", "")
    with mistakes.collecting():
        if not isinstance(header, str):
            fail("[access] identity_header: must be text")
        if header and not table.get("proxies"):
            fail("[access] identity_header: is believed only from [access] proxies, and there are none")
    mistakes.stop_if_any()
    return ConfiguredAccess(networks, tuple(filter(None, written.values())), header, metrics)


def read_limits(table: Any, limits: Limits, fail: Fail) -> Limits:
    """Return `limits` with those in `[limits]` changed. Raises `StartError` with a line for each mistake."""
    kinds = {item.name: type(getattr(limits, item.name)) for item in fields(Limits)}
    mistakes = Mistakes()
    with mistakes.collecting():
        _check_is_table("limits", table, fail)
    mistakes.stop_if_any()
    _check_keys("limits", table, tuple(kinds), fail, mistakes)
    for name, value in table.items():
        if (kind := kinds.get(name)) is None:
            continue  # told above
        with mistakes.collecting():
            if type(value) not in ((int, float) if kind is float else (int,)) or not 0 < value < 2**53:
                fail(f"[limits] {name}: must be a {'whole ' if kind is int else ''}number above 0")
    mistakes.stop_if_any()
    return replace(limits, **table)


def _origin(text: str) -> str | None:
    """Return the origin as browsers write it (RFC 6454, section 6.2), without the port of its scheme, or None."""
    found = _ORIGIN.fullmatch(text.lower())
    if not found:
        return None
    scheme, host, port = found.groups()
    with contextlib.suppress(ValueError):
        if ":" in host:
            host = f"[{IPv6Address(host[1:-1])}]"
        is_default = port is None or int(port) == DEFAULT_PORTS[scheme]
        return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{int(port)}"
    return None


_ORIGIN = re.compile(r"(https?)://([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")


def _check_is_table(name: str, table: Any, fail: Fail) -> None:
    if not isinstance(table, Mapping):
        fail(f"{name!r} must be written as [{name}]")


def _networks(name: str, texts: list[str], fail: Fail, mistakes: Mistakes) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for text in texts:
        with mistakes.collecting():
            try:
                networks.append(ip_network(text))
            except ValueError:
                fail(f"[access] {name}: {text!r} is no address and no network such as '10.0.0.0/8'")
    return tuple(networks)


def _check_keys(name: str, table: Any, known: tuple[str, ...], fail: Fail, mistakes: Mistakes) -> None:
    for key in table:
        with mistakes.collecting():
            if key not in known:
                fail(f"[{name}]: unknown key {key!r}; known are {', '.join(known)}")


def _texts(name: str, table: Any, fail: Fail, mistakes: Mistakes) -> list[str]:
    value = table.get(name, [])
    with mistakes.collecting():
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            fail(f"[access] {name}: must be a list of texts")
        return list(value)
    return []

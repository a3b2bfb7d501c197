"""The client of a request: only trusted proxies may state it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from itertools import dropwhile
from operator import not_
from typing import TypeAlias

from backend.access.callers import host_name, host_port, parse_address

Networks: TypeAlias = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is the client's, `host` what it asked for (a `Host` header), `identity` who it is by single sign-on.

    `scheme` is `http` or `https`, by which it asked; empty if no proxy of ours says so. `proxy` is the address of the
    one that said all this, or empty. `has_identities` if it names several, so that none is believed.
    """

    address: str
    host: str
    identity: str = ""
    scheme: str = ""
    proxy: str = ""
    has_identities: bool = False


def caller(
    peer: str, *, host: str, headers: Mapping[str, Sequence[str]], proxies: Networks, identity_header: str = ""
) -> Caller:
    """Return who made a request that came from the address `peer` with this `Host`.

    `headers` are all values of each header, by its name in lower case. The client's address is the last one listed that
    is not a trusted proxy: the client may have written those before it. Host and scheme are those beside that address,
    since every proxy of a chain may add what it was asked for itself. A trusted proxy that sets `X-Forwarded-For`
    passes on the client's `Forwarded`, and vice versa: where they disagree, neither is believed.
    """
    if not _is_one_of(peer, proxies):
        return Caller(peer, host)
    names = _identities(headers.get(identity_header.lower(), ())) if identity_header else []
    identity, has_identities = names[0] if len(names) == 1 else "", len(names) > 1
    elements = [_parameters(element) for element in _list(headers, "forwarded")]
    elements = elements[-_hops([element.get("for", "") for element in elements], proxies) :]
    legacy = _list(headers, "x-forwarded-for")
    hops = _hops(legacy, proxies)
    written = [element.get("for", "") for element in elements], legacy[-hops:]
    said = {_client(addresses, peer) for addresses in written if addresses}
    address = said.pop() if len(said) == 1 else peer
    forwarded_host = next((element["host"] for element in elements if element.get("host")), "")
    scheme = next((element["proto"] for element in elements if element.get("proto")), "")
    scheme = (scheme or _outermost(headers, "x-forwarded-proto", hops)).lower()
    legacy_host, port = (_outermost(headers, f"x-forwarded-{name}", hops) for name in ("host", "port"))
    if forwarded_host and legacy_host and forwarded_host != legacy_host:
        return Caller(address, host, identity, scheme, peer, has_identities)
    outside = forwarded_host or legacy_host or host
    if port.isascii() and port.isdigit() and host_port(outside) is None:
        name = host_name(outside)
        outside = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return Caller(address, outside, identity, scheme, peer, has_identities)


def _hops(addresses: Sequence[str], proxies: Networks) -> int:
    """Return how many of the last `addresses` proxies of ours wrote, each that of its own peer: at least one."""
    count = 1
    while count < len(addresses) and _is_one_of(_without_port(addresses[-count]), proxies):
        count += 1
    return count


def _client(addresses: Sequence[str], peer: str) -> str:
    """Return the first that is one: not `unknown`, or a name that hides it (RFC 7239, section 6.3)."""
    parsed = (parse_address(_without_port(text)) for text in addresses)
    return next((str(address) for address in parsed if address), peer)


def _without_port(text: str) -> str:
    if text.startswith("[") or text.count(":") == 1:
        return host_name(text)
    return text


def _is_one_of(address: str, networks: Networks) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed.version == each.version and parsed in each for each in networks)


def _list(headers: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return [part.strip() for value in headers.get(name, ()) for part in value.split(",") if part.strip()]


def _identities(values: Sequence[str]) -> list[str]:
    """Return the different identities in these header lines.

    The header is no list (RFC 9110, section 5.3): a comma belongs to the name, as in "Doe, Jane". Whoever sends two
    lines passes on what somebody else wrote, perhaps the client. An empty line after a name differs from it as well: it
    is a proxy's that knows of nobody.
    """
    return list(dict.fromkeys(dropwhile(not_, (_text(value).strip() for value in values))))


def _outermost(headers: Mapping[str, Sequence[str]], name: str, hops: int) -> str:
    """Return what the outermost of `hops` proxies wrote.

    It must overwrite what its client sent: if one behind it writes nothing, the client's value stands in its place.
    """
    return next(iter(_list(headers, name)[-hops:]), "")


def _text(value: str) -> str:
    """Return a header's value as text: bytes that are no UTF-8 stand in it as halves of surrogate pairs."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _parameters(element: str) -> dict[str, str]:
    """Return the parameters of one element of `Forwarded` (RFC 7239, section 4)."""
    pairs = (pair.partition("=") for pair in element.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}

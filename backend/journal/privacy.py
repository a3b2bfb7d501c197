"""What the record does not hold: credentials and invitations never, and of people's addresses only the network. Pure.

IPv4 addresses are shortened to /24, IPv6 addresses to /48, as those of an analytics service would be. The names that
browsers put in place of local addresses (mDNS, RFC 8828) stay, and so do the addresses of relays and servers.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from pyapp.protocol.wire import Scalar

REDACTED = "[redacted]"

_SENSITIVE = re.compile(r"credential|password|secret|invit|token|authori[sz]ation|(^|[^a-z])(key|pwd)$", re.IGNORECASE)
# A JWT (RFC 7519; its header starts with '{"', which is 'eyJ'), and an ICE password in SDP (RFC 8839, section 5.4).
_SECRET_TEXT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=ice-pwd:)[\w+/]+|(?<=invite=)[^\s&]+")
_ADDRESS = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4})(?![\w:])"
    r"|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]\d)"
)
_OURS = frozenset({"server", "url", "host", "relay"})
"""Fields that name a STUN or TURN server."""
_CACHED = 4096


def redact(data: Mapping[str, Scalar], *, invitation: str = "") -> dict[str, Scalar]:
    """Return `data` without credentials, keys and invitations, whether by the name of a field or inside a text."""
    return {
        _without_secrets(name, invitation): REDACTED
        if value and _is_sensitive(name)
        else _without_secrets(value, invitation)
        if isinstance(value, str)
        else value
        for name, value in data.items()
    }


def clean(data: Mapping[str, Scalar], *, invitation: str = "", keep_addresses: bool = False) -> dict[str, Scalar]:
    """Return `data` as it is recorded: redacted, and unless `keep_addresses`, with shortened addresses."""
    redacted = redact(data, invitation=invitation)
    if keep_addresses:
        return redacted
    return {
        name: _shortened(value) if isinstance(value, str) and not _is_ours(name, redacted) else value
        for name, value in redacted.items()
    }


def _is_ours(name: str, data: Mapping[str, Scalar]) -> bool:
    """Return whether a field names a server or a relayed address."""
    if name in _OURS:
        return True
    if name == "address":
        return data.get("type") == "relay"
    side, _, rest = name.partition("_")
    return rest == "address" and data.get(f"{side}_type") == "relay"


@lru_cache(maxsize=_CACHED)
def _is_sensitive(name: str) -> bool:
    return bool(_SENSITIVE.search(name))


@lru_cache(maxsize=_CACHED)
def _without_secrets(text: str, invitation: str) -> str:
    if invitation:
        text = text.replace(invitation, REDACTED)
    return _SECRET_TEXT.sub(REDACTED, text)


def shorten(text: str) -> str:
    """Return `text` with each address in it replaced by its network's: `192.0.2.0`, `2001:db8:1::`."""
    return _ADDRESS.sub(_network, text)


_shortened = lru_cache(maxsize=_CACHED)(shorten)


def _network(found: re.Match[str]) -> str:
    try:
        return network_of(ip_address(found[0]))
    except ValueError:
        return found[0]  # a fingerprint, a time of day


def network_of(address: IPv4Address | IPv6Address) -> str:
    """Return the first address of the network that `address` is recorded as; that of the machine itself stays."""
    if address.is_loopback or address.is_unspecified:
        return str(address)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:  # the same form in every Python version
        return f"::ffff:{network_of(address.ipv4_mapped)}"
    length = 24 if address.version == 4 else 48
    return str(ip_network((address, length), strict=False).network_address)

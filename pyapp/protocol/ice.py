"""ICE: server URIs (RFC 7064, 7065), the configuration a browser gets, candidates (RFC 8839).

Used by the server to check its configuration file and by the page to read `GET /ice`: standard library only,
nothing newer than Python 3.11.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

DEFAULT_PORTS = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}

_URI = re.compile(
    r"(?P<scheme>stuns?|turns?):"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>[A-Za-z0-9-]+))?"
)


class IceError(ValueError):
    """A URI, a configuration or a candidate breaks a rule, which the message says."""


class UnusableUrlError(IceError):
    """A URI is valid, but no browser would use it: the message says why."""


RELAY_VIDEO, LEAST_VIDEO, MOST_VIDEO = 1500, 50, 100_000
"""kbit/s of video over a relay, whose traffic somebody pays for: the default, and the bounds of the setting."""


@dataclass(frozen=True, slots=True)
class IceUrl:
    """A STUN or TURN server's URI. `transport` is `udp`, `tcp` or `tls`, as on the wire.

    `host` is canonical: lower case, IPv6 as in RFC 5952 in brackets. Two URIs of one server are equal.
    """

    scheme: str
    host: str
    port: int
    transport: str

    @property
    def is_turn(self) -> bool:
        """Whether this server can relay."""
        return self.scheme in ("turn", "turns")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on the browser's own machine: Firefox (153) asks no server there."""
        return self.host in ("localhost", "[::1]") or self.host.startswith("127.")


def parse_ice_url(text: str) -> IceUrl:
    """Return the parts of a `stun:`, `turn:` or `turns:` URI (RFC 7064, section 3.1; RFC 7065, section 3.1).

    Raises `IceError`, and its subclass `UnusableUrlError` for a valid URI that no browser would use.
    """
    if not (match := _URI.fullmatch(text)):
        hint = "; an IPv6 address stands in brackets" if text.count(":") > 2 and "[" not in text else ""
        raise IceError(
            f"{text[:120]!r} is not a stun:, turn: or turns: URI (RFC 7064, RFC 7065),"
            f" such as 'turn:turn.example.org:3478?transport=udp'{hint}"
        )
    scheme, host, query = match["scheme"], match["host"].lower(), match["transport"]
    if host.startswith("["):
        host = _ipv6(host[1:-1])
    port = int(match["port"]) if match["port"] else DEFAULT_PORTS[scheme]
    if not 0 < port < 65536:
        raise IceError(f"{text!r}: the port must be from 1 to 65535")
    if scheme == "stuns":
        raise UnusableUrlError(f"{text!r}: no browser speaks STUN over TLS; use 'stun:', or 'turns:' for a relay")
    if port == 53:  # Chromium 156 sends nothing there, and its gathering never completes
        raise UnusableUrlError(f"{text!r}: browsers refuse port 53, for STUN and TURN alike")
    if scheme == "stun":
        if query:
            raise IceError(f"{text!r}: a stun: URI has no transport (RFC 7064, section 3.1)")
        return IceUrl(scheme, host, port, "udp")
    if query not in (None, "udp", "tcp"):
        raise IceError(f"{text!r}: the transport must be 'udp' or 'tcp'")
    if scheme == "turns" and query == "udp":
        raise UnusableUrlError(f"{text!r}: no browser speaks TURN over DTLS; use '?transport=tcp'")
    if port < 1024 and port not in (80, 443):
        raise UnusableUrlError(f"{text!r}: browsers refuse TURN on port {port}; use 80, 443, or 1024 and above")
    return IceUrl(scheme, host, port, "tls" if scheme == "turns" else query or "udp")


_REPORTED_IPV6 = re.compile(r"(?P<scheme>[a-z]+):(?P<host>[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*):(?P<rest>[0-9]+(?:\?.*)?)")


def parse_reported_url(text: str) -> IceUrl:
    """Return the parts of the `url` of a candidate or of an `icecandidateerror`, or raise `IceError`.

    Chromium (156) rebuilds it, always with a port, and writes IPv6 addresses after `stun:` without brackets.
    """
    if match := _REPORTED_IPV6.fullmatch(text):
        text = f"{match['scheme']}:[{match['host']}]:{match['rest']}"
    return parse_ice_url(text)


def _ipv6(text: str) -> str:
    from ipaddress import IPv6Address  # noqa: PLC0415 - rare, and not worth its import at every start of the page

    try:
        address = IPv6Address(text)
    except ValueError:
        raise IceError(f"'[{text}]' is not an IPv6 address (RFC 3986, section 3.2.2)") from None
    if address.ipv4_mapped:  # the same form in every Python version (RFC 5952, section 5)
        return f"[::ffff:{address.ipv4_mapped}]"
    return f"[{address}]"


PathKind: TypeAlias = Literal["direct", "relay over UDP", "relay over TCP"]

PATH_KINDS: tuple[PathKind, ...] = get_args(PathKind)
"""From the cheapest to the most expensive. "TCP" includes TLS."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """An `RTCIceServer` (W3C WebRTC 1.0, section 4.2.4). `name` is the operator's name for it.

    `relayed` are addresses, without ports, at which the console's server has reached relays of it: not every browser
    says which server a relayed candidate is from.
    """

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)
    name: str = ""
    relayed: tuple[str, ...] = ()

    def is_on(self, hosts: frozenset[str]) -> bool:
        """Return whether every URL is on one of `hosts`."""
        return all(parse_ice_url(url).host in hosts for url in self.urls)

    def to_json(self) -> dict[str, Any]:
        """Return the `RTCIceServer` dictionary."""
        server: dict[str, Any] = {"urls": list(self.urls)}
        if self.username:
            server |= {"username": self.username, "credential": self.credential}
        return server


@dataclass(frozen=True, slots=True)
class IceConfiguration:
    """The answer to `GET /ice`: an `RTCConfiguration`, and the lifetime of its credentials.

    `expires` is Unix time in seconds; `lifetime` is seconds from the answer, for a page whose clock is wrong. Both are
    None if the credentials do not expire. `standby` says whether a second path is kept while relayed (`standby.py`).
    `relay_video` is the most video that a page sends over a relay, in kbit/s.
    """

    servers: tuple[IceServer, ...] = ()
    policy: str = "all"
    pool_size: int = 0
    expires: float | None = None
    lifetime: float | None = None
    standby: bool = False
    relay_video: int = RELAY_VIDEO

    def __post_init__(self) -> None:
        """Reject what no `RTCPeerConnection` would accept."""
        if self.policy not in ("all", "relay"):
            raise IceError("iceTransportPolicy: must be 'all' or 'relay'")

    def preferring(self, suspected: frozenset[str]) -> "IceConfiguration":
        """Return this configuration with relays on the hosts `suspected` last, and the other relays twice.

        A relay candidate's priority depends on the server's place in the list, and an ICE restart leaves a dead relay
        only for a pair of higher priority. Chromium drops a dead server no sooner.
        """
        last = tuple(server for server in self.servers if server.is_on(suspected))
        if not last or len(last) == len(self.servers):
            return self
        first = tuple(server for server in self.servers if not server.is_on(suspected))
        relays = tuple(server for server in first if any(url.startswith("turn") for url in server.urls))
        return replace(self, servers=(*first, *relays, *last))

    def relay_only(self, *, over_tcp: bool = False, without: frozenset[str] = frozenset()) -> "IceConfiguration":
        """Return this configuration for relay candidates only; `over_tcp` leaves only relays over TCP and TLS.

        Then relays on the hosts `without` are left out, too, unless there are no others.
        """
        if not over_tcp:
            return replace(self, policy="relay")
        servers = tuple(
            replace(server, urls=urls)
            for server in self.servers
            if (urls := tuple(url for url in server.urls if parse_ice_url(url).transport != "udp"))
        )
        well = tuple(server for server in servers if not server.is_on(without))
        return replace(self, policy="relay", servers=well or servers or self.servers)

    def without_relays(self) -> "IceConfiguration":
        """Return this configuration without relays: their servers are used only for reflexive addresses.

        A TURN server over UDP is a STUN server at the same address and port (RFC 8656, section 2).
        """
        urls = (parse_ice_url(text) for server in self.servers for text in server.urls)
        stun = dict.fromkeys(f"stun:{url.host}:{url.port}" for url in urls if url.transport == "udp")
        return replace(self, servers=(IceServer(tuple(stun)),) if stun else ())

    @property
    def relay_hosts(self) -> tuple[str, ...]:
        """The hosts of the TURN servers, each once, in their order."""
        urls = (parse_ice_url(url) for server in self.servers for url in server.urls)
        return tuple(dict.fromkeys(url.host for url in urls if url.is_turn))

    def relay_at(self, host: str, *, over_tcp: bool) -> "IceConfiguration":
        """Return this configuration for relay candidates of `host` only.

        `over_tcp` selects TCP and TLS, or otherwise UDP; if the host has neither of the selected kind, all are kept.
        Each remaining URL costs an allocation.
        """
        urls = [(server, text, parse_ice_url(text)) for server in self.servers for text in server.urls]
        here = [entry for entry in urls if entry[2].is_turn and entry[2].host == host]
        fitting = [entry for entry in here if (entry[2].transport != "udp") == over_tcp]
        servers = dict.fromkeys(replace(server, urls=(text,)) for server, text, _ in fitting or here)
        return replace(self, policy="relay", pool_size=0, servers=tuple(servers))

    def server_name(self, url: str) -> str:
        """Return the operator's name for the server at `url`, as a browser reported it, or else the URL's host."""
        try:
            asked = parse_reported_url(url)
        except IceError:
            return url
        named = (server for server in self.servers if server.name)
        return next((server.name for server in named if asked in map(parse_ice_url, server.urls)), asked.host)

    def to_json(self) -> dict[str, Any]:
        """Return the body of `GET /ice`. A browser ignores the extra members (`name`, `relayed`, `expires`)."""
        return (
            self.to_rtc_configuration()
            | {
                "iceServers": [
                    server.to_json()
                    | ({"name": server.name} if server.name else {})
                    | ({"relayed": list(server.relayed)} if server.relayed else {})
                    for server in self.servers
                ],
                "expires": self.expires,
                "lifetime": self.lifetime,
            }
            | ({"standby": True} if self.standby else {})
            | ({"relayVideo": self.relay_video} if self.relay_video != RELAY_VIDEO else {})
        )

    def to_rtc_configuration(self) -> dict[str, Any]:
        """Return the `RTCConfiguration` dictionary (W3C WebRTC 1.0, section 4.2.1)."""
        return {
            "iceServers": [server.to_json() for server in self.servers],
            "iceTransportPolicy": self.policy,
            "bundlePolicy": "max-bundle",
            "rtcpMuxPolicy": "require",
            "iceCandidatePoolSize": self.pool_size,
        }


def _texts(hint: Any) -> tuple[str, ...]:
    """Return a list of strings, or () for anything else: a hint is not worth a connection."""
    return tuple(hint) if isinstance(hint, list) and all(isinstance(text, str) for text in hint) else ()


def ice_configuration_from_json(value: Any) -> IceConfiguration:
    """Return the configuration in the body of `GET /ice`, or raise `IceError`."""
    try:
        servers = tuple(
            IceServer(
                urls=(entry["urls"],) if isinstance(entry["urls"], str) else tuple(str(url) for url in entry["urls"]),
                username=str(entry.get("username", "")),
                credential=str(entry.get("credential", "")),
                name=str(entry.get("name", "")),
                relayed=_texts(entry.get("relayed")),
            )
            for entry in value["iceServers"]
        )
        expires, lifetime, standby = value.get("expires"), value.get("lifetime"), value.get("standby", False)
        if not isinstance(standby, bool):
            raise IceError("standby: must be true or false")
        relay_video = value.get("relayVideo", RELAY_VIDEO)
        if type(relay_video) is not int or not LEAST_VIDEO <= relay_video <= MOST_VIDEO:
            raise IceError(f"relayVideo: must be a whole number of kbit/s, from {LEAST_VIDEO} to {MOST_VIDEO}")
        pool_size = int(value.get("iceCandidatePoolSize", 0))
        if not 0 <= pool_size <= 255:
            raise IceError("iceCandidatePoolSize: must be from 0 to 255 (W3C WebRTC 1.0, section 4.2.1)")
        if lifetime is not None and not 0 < float(lifetime) < math.inf:
            raise IceError("lifetime: must be a number of seconds above 0, or null")
        return IceConfiguration(
            servers=servers,
            policy=str(value.get("iceTransportPolicy", "all")),
            pool_size=pool_size,
            expires=None if expires is None else float(expires),
            lifetime=None if lifetime is None else float(lifetime),
            standby=standby,
            relay_video=relay_video,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise IceError(f"not an ICE configuration: {error}") from None


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """The parts of a `candidate` attribute (RFC 8839, section 5.1; RFC 6544, section 4.5 for `tcp_type`)."""

    foundation: str
    component: int
    protocol: str
    priority: int
    address: str
    port: int
    type: str
    related_address: str = ""
    related_port: int = 0
    tcp_type: str = ""
    username_fragment: str = ""


def parse_candidate(text: str) -> CandidateLine:
    """Return the parts of `candidate:…`, or raise `IceError`."""
    words = text.removeprefix("candidate:").split()
    if len(words) < 8 or words[6] != "typ":
        raise IceError(f"not a candidate (RFC 8839, section 5.1): {text[:80]!r}")
    extensions = dict(zip(words[8::2], words[9::2], strict=False))
    return CandidateLine(
        foundation=words[0],
        component=_digits(words[1], 256, text),
        protocol=words[2].lower(),
        priority=_digits(words[3], 2**32 - 1, text),
        address=words[4],
        port=_digits(words[5], 65535, text),
        type=words[7],
        related_address=extensions.get("raddr", ""),
        related_port=_digits(extensions.get("rport", "0"), 65535, text),
        tcp_type=extensions.get("tcptype", ""),
        username_fragment=extensions.get("ufrag", ""),
    )


def _digits(word: str, most: int, candidate: str) -> int:
    """Return the number in `word`, which comes from the peer, or raise `IceError` for anything above `most`."""
    if word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= most:
        return int(word)
    raise IceError(f"not a candidate (RFC 8839, section 5.1): {candidate[:80]!r}")


_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)


def username_fragments(sdp: str) -> frozenset[str]:
    """Return the `ice-ufrag` values in a description (RFC 8839, section 5.4): its ICE generation."""
    return frozenset(_UFRAG.findall(sdp))


_CANDIDATE_OF = re.compile(r"^a=candidate:.* ufrag (\S+).*\r?\n", re.MULTILINE)


def without_stale_candidates(sdp: str) -> str:
    """Return a description without the candidates of another ICE generation.

    Chromium puts a candidate that an offer had gathered into whatever description is in force when it reports it: once
    the offer was rolled back, into the answer that took its place. libwebrtc names the generation in an extension.
    """
    fragments = username_fragments(sdp)
    return _CANDIDATE_OF.sub(lambda line: line[0] if line[1] in fragments else "", sdp)


_MID = re.compile(r"^a=mid:(\S+)", re.MULTILINE)


def media_sections(sdp: str) -> frozenset[str]:
    """Return the `mid` of each media section of a description (RFC 8843, section 4)."""
    return frozenset(_MID.findall(sdp))


def with_candidates(sdp: str, candidates: Mapping[str, Sequence[str]]) -> str:
    """Return a description with `candidates`: `candidate:…` lines by the `mid` of their media section."""
    return _MID.sub(lambda line: "\r\na=".join((line[0], *candidates.get(line[1], ()))), sdp)

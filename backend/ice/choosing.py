"""Which of the configured servers one caller gets, and with which credentials. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from backend.ice.credentials import turn_credentials
from backend.ice.ice_servers import ConfiguredServer
from backend.ice.urls import LeftOut
from pyapp.protocol.check import MOST_CHECKED
from pyapp.protocol.ice import IceConfiguration, IceServer, parse_ice_url

MAX_URLS = 4
"""Firefox calls five "STUN/TURN servers" slow in its console, and counts URLs (`_reviewIceServers` of its
`PeerConnection.sys.mjs`); every URL costs each interface a round of gathering."""

POOL_SIZE = 0
"""`iceCandidatePoolSize`. Whoever waits in a session has made an offer, and so has gathered. The answerer never uses
its pool (Chromium 156), which only doubled the TURN allocations. After `setConfiguration()` a pool is filled again, so
that a restart after a change of the network began with candidates of the old network."""

_VARIETY = {"udp": 0, "tls": 1, "tcp": 2}

_CROSSES = {"tls": (443,), "tcp": (443, 80), "udp": ()}
"""By transport, the ports that cross most firewalls, the better first. Over UDP, whatever the operator chose."""
_SPARE = {"udp": (443,), "tls": (), "tcp": ()}
"""As above, for the second URL of a transport."""


def variety_first(servers: Sequence[ConfiguredServer]) -> tuple[ConfiguredServer, ...]:
    """Return `servers` with at most `MAX_URLS` URLs left, chosen by the policy "variety first".

    Each slot buys what the ones before it do not give, in this order:

    1. one STUN URL: the cheapest way to a direct path. Not yet if two TURN servers speak UDP, for browsers learn their
       reflexive address from those as well (Firefox: the "piggyback srflx candidate"), whichever of them is alive;
    2. the first TURN server over UDP, the relay that costs the least delay;
    3. the second TURN server, over UDP if it can: a relay that dies is survived only if another was gathered;
    4. the first TURN server over TLS, else TCP: a network that blocks UDP;
    5. the second one over TLS, else TCP: such a network on the day that the first server is dead;
    6. the STUN URL that had to wait;
    7. more transports of the first and the second TURN server, in turn; then further TURN servers;
    8. more STUN URLs: two tell which kind of mapping a NAT does.

    "First" and "second" are the order of the file: it is the operator's preference. What is left keeps that order.

    A TURN server is a host, however many entries its URLs stand in: providers list each URL alone. Of a host's URLs of
    one transport the one comes first that crosses most firewalls: TLS on 443 is the only way out of many networks.
    """
    stun = [url for server in servers if not server.is_turn for url in server.urls]
    hosts: dict[str, list[str]] = {}
    for url in (url for server in servers if server.is_turn for url in server.urls):
        hosts.setdefault(parse_ice_url(url).host, []).append(url)
    turn = [_by_variety(urls) for urls in hosts.values()]
    leading, others = turn[:2], turn[2:]
    by_rank = [urls[rank : rank + 1] for rank in range(max(map(len, leading), default=0)) for urls in leading]
    variety = by_rank[: 2 * len(leading)]
    speak_udp = sum(parse_ice_url(urls[0]).transport == "udp" for urls in leading)
    slots = [*variety, stun[:1]] if speak_udp == 2 else [stun[:1], *variety]
    slots += [*by_rank, *(urls[:1] for urls in others), stun]
    ranked = dict.fromkeys(url for slot in slots for url in slot)
    chosen = list(ranked)[:MAX_URLS]
    return tuple(
        ConfiguredServer(
            name=server.name,
            urls=urls,
            secret=server.secret,
            ttl=server.ttl,
            username=server.username,
            credential=server.credential,
            expires=server.expires,
        )
        for server in servers
        if (urls := tuple(url for url in server.urls if url in chosen))
    )


def ice_configuration(
    servers: Sequence[ConfiguredServer],
    *,
    name: str,
    now: float,
    avoid: Collection[str] = (),
    standby: bool = False,
) -> IceConfiguration:
    """Return what `GET /ice` answers at `now` (Unix time, seconds) to a caller whose TURN user is called `name`.

    TURN servers on the hosts `avoid` went silent for the caller: spares replace them, if there are any.
    `expires` and `lifetime` are those of the credentials that expire first, or None if there are none.
    """
    chosen = variety_first(sorted(servers, key=lambda server: _is_on(server, avoid)))
    expiries: list[float] = [int(now) + server.ttl for server in chosen if server.secret]
    expiries += [server.expires for server in chosen if server.expires is not None]
    return IceConfiguration(
        servers=tuple(_with_credentials(server, name=name, now=now) for server in chosen),
        pool_size=POOL_SIZE,
        expires=min(expiries) if expiries else None,
        lifetime=min(expiries) - now if expiries else None,
        standby=standby,
    )


def check_configuration(servers: Sequence[ConfiguredServer], *, name: str, now: float) -> IceConfiguration:
    """Return what `GET /ice?check` answers: every URL, of up to `MOST_CHECKED`, with credentials as above."""
    room = MOST_CHECKED
    given = []
    for server in servers:
        if urls := server.urls[:room]:
            given.append(replace(_with_credentials(server, name=name, now=now), urls=urls))
            room -= len(urls)
    return IceConfiguration(servers=tuple(given))


def _is_on(server: ConfiguredServer, hosts: Collection[str]) -> bool:
    return server.is_turn and all(parse_ice_url(url).host in hosts for url in server.urls)


def left_out(servers: Sequence[ConfiguredServer]) -> tuple[LeftOut, ...]:
    """Return the URLs that no page gets as long as no server fails, and why."""
    given = [url for server in variety_first(servers) for url in server.urls]
    kept = {(parsed.is_turn, parsed.host, parsed.transport): url for url in given if (parsed := parse_ice_url(url))}
    result = []
    for url in (url for server in servers for url in server.urls if url not in given):
        parsed = parse_ice_url(url)
        same = kept.get((parsed.is_turn, parsed.host, parsed.transport))
        result.append(LeftOut(url, _SAME.format(same) if same else _TOO_MANY))
    return tuple(result)


_SAME = "of this host and transport, {} is the one that crosses most firewalls, or comes first"
_TOO_MANY = f"{MAX_URLS} are enough: browsers slow down with more, and others give more variety"


def _by_variety(urls: Sequence[str]) -> list[str]:
    """Return the URLs of a host so that each transport comes once before any comes twice."""
    by_transport: dict[str, list[str]] = {}
    for url in urls:
        by_transport.setdefault(parse_ice_url(url).transport, []).append(url)
    keys: dict[str, tuple[int, int]] = {}
    for transport, group in by_transport.items():
        first, *others = sorted(group, key=lambda url: _rank(url, _CROSSES[transport]))
        others.sort(key=lambda url: _rank(url, (*_SPARE[transport], *_CROSSES[transport])))
        keys |= {url: (place, _VARIETY[transport]) for place, url in enumerate((first, *others))}
    return sorted(urls, key=keys.__getitem__)


def _rank(url: str, ports: Sequence[int]) -> int:
    port = parse_ice_url(url).port
    return ports.index(port) if port in ports else len(ports)


def _with_credentials(server: ConfiguredServer, *, name: str, now: float) -> IceServer:
    if not server.secret:
        return IceServer(server.urls, server.username, server.credential, server.name)
    credentials = turn_credentials(server.secret, name=name, expires=int(now) + server.ttl)
    return IceServer(server.urls, credentials.username, credentials.credential, server.name)

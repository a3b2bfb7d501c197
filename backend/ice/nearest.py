"""Which TURN host is nearest to a network: measured by its pages, or else by the server. Pure."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

HYSTERESIS = 0.010
"""Seconds that a host must be nearer than another to take its place: moving a relay costs a restart."""

FEWEST, MOST = 3, 8
"""Measurements of a host that are needed, and kept: the lowest counts, since disturbances only raise it."""

MOST_NETWORKS, MOST_GATHERINGS = 4096, 1024
"""Networks, and candidate gatherings under way, that are remembered."""

_LONGEST = 10.0
"""Seconds that a measurement takes at most."""

_PREFIXES = {4: 24, 6: 48}


def network_of(address: str) -> str:
    """Return the network prefix that `address` counts as: an IPv4 /24, an IPv6 /48."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ip_network(f"{parsed}/{_PREFIXES[parsed.version]}", strict=False))


@dataclass(slots=True)
class _Network:
    seconds: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=MOST)))
    """By host: how long a relay took there."""
    order: tuple[str, ...] = ()

    def measured(self, host: str) -> float | None:
        """Return the measure of `host`, if it is one."""
        known = self.seconds.get(host, ())
        return min(known) if len(known) >= FEWEST else None


@dataclass(slots=True)
class Nearest:
    """What the pages of each network have measured. All hosts named to it are remembered: name configured ones only.

    The measure is the time from the beginning of a gathering to the relay over UDP: two round trips, and what the
    browser needs for itself, which is the same for all hosts. It comes from pages that wait for somebody, and from
    those that check their network. Who finds a path at once has no measure of a far host: Chromium then ends gathering.
    """

    _networks: OrderedDict[str, _Network] = field(init=False, default_factory=OrderedDict)
    _announced: OrderedDict[str, float] = field(init=False, default_factory=OrderedDict)
    """By page: when its browser said that it gathers, as long as there is no candidate of that gathering."""
    _begun: OrderedDict[tuple[str, str], float | None] = field(init=False, default_factory=OrderedDict)
    """By page and gathering (its `ice-ufrag`): when it began, None if that is not known."""

    def gathering(self, page: str, at: float) -> None:
        """Record that the browser of `page` said at `at` (seconds of its clock) that it gathers."""
        self._announced[page] = at
        self._announced.move_to_end(page)
        while len(self._announced) > MOST_GATHERINGS:
            self._announced.popitem(last=False)

    def candidate(self, page: str, gathering: str, at: float | None) -> None:
        """Take a candidate that is no relay over UDP: a host's that `page` had at `at` (seconds of its clock), or None.

        The first one of a gathering says when that began if it is a host's. If it is not, the browser must have said
        so: there are relays alone; or a server is so near that it answered before the browser had hidden its host
        candidates behind names (mDNS), which takes some milliseconds. A browser that gathers anew while it gathers
        says nothing: then a gathering whose first candidate is no host's measures nothing.
        """
        if (page, gathering) not in self._begun:
            announced = self._announced.pop(page, None)
            self._begun[page, gathering] = announced if at is None else at
        while len(self._begun) > MOST_GATHERINGS:
            self._begun.popitem(last=False)

    def relay(self, page: str, network: str, gathering: str, at: float, host: str) -> None:
        """Take a relay over UDP from `host`, which `page` in `network` had at `at`."""
        self.candidate(page, gathering, None)
        begun = self._begun.get((page, gathering))
        if begun is not None:
            self.measured(network, host, at - begun)

    def measured(self, network: str, host: str, seconds: float) -> None:
        """Take how long a page in `network` gathered until it had a relay over UDP from `host`."""
        if not 0 <= seconds < _LONGEST:
            return
        known = self._networks.pop(network, None) or _Network()
        self._networks[network] = known
        known.seconds[host].append(seconds)
        while len(self._networks) > MOST_NETWORKS:
            self._networks.popitem(last=False)

    def order(self, network: str, hosts: Sequence[str], own: Callable[[str], float | None]) -> list[str]:
        """Return `hosts`, those first that are nearer to `network`; `own` is the server's measure of a host.

        Who was asked for before keeps its place unless another is nearer by more than `HYSTERESIS`; of hosts that
        nobody has measured, the order is kept.
        """
        known = self._networks.get(network)
        order = [host for host in (known.order if known else ()) if host in hosts]
        order += [host for host in hosts if host not in order]
        # Whom its pages have not measured is as near as the server finds, which is less than they will: so it is tried.
        measured = {host: known.measured(host) if known else None for host in order}
        seconds = {host: own(host) if (theirs := measured[host]) is None else theirs for host in order}
        for place in range(1, len(order)):
            while place and self._is_nearer(seconds[order[place]], seconds[order[place - 1]]):
                order[place - 1 : place + 1] = reversed(order[place - 1 : place + 1])
                place -= 1  # noqa: PLW2901 - the host's new place
        if known:
            known.order = tuple(order)
        return order

    @staticmethod
    def _is_nearer(one: float | None, other: float | None) -> bool:
        return one is not None and other is not None and one < other - HYSTERESIS

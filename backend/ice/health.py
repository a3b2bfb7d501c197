"""Which URLs answer, by the server's own checks and the pages' reports. Pure; times are seconds of any clock.

A URL is left out once it fails for everybody: two checks in a row have failed, and no page has had a candidate from it
since. It returns after two good checks. If the server reaches nothing at all over UDP (or TCP, or TLS), its own network
may block that and its checks prove nothing: then pages of several networks decide.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyapp.protocol.ice import IceError, IceUrl, parse_ice_url, parse_reported_url

IN_A_ROW = 2
"""Consecutive checks with the same result before a URL is left out, or returns."""

PAGES = 3
"""Pages, on at least two networks, that must have got no answer where the server's own checks prove nothing."""

REMEMBERED = 600.0
"""Seconds for which a page's report counts."""

_MOST_PAGES = 64
"""Pages whose latest report on a URL is kept."""

_MOST_RELAYED = 4
"""Relayed addresses of a URL that are kept: a host may have several."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check of a URL: `problem` says why it cannot be used, or is empty; `seconds` is the RTT.

    `relayed` is the address at which a relay of it is reached, without a port. `refusal` says why a server that is well
    gave no relay this time.
    """

    problem: str = ""
    seconds: float | None = None
    relayed: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """From now on a URL is left out because of `problem`, or given out again if that is empty."""

    url: str
    problem: str


@dataclass(slots=True)
class _Url:
    """What is known of one URL. `run` counts consecutive good checks (or, below zero, bad ones) since `run_began`."""

    text: str
    is_left_out: bool = False
    problem: str = ""
    seconds: float | None = None
    relayed: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_RELAYED))
    run: int = 0
    run_began: float = 0.0
    answered_at: float = -1e9
    """When a page last gathered a candidate from it."""
    pages: OrderedDict[str, tuple[float, str, bool]] = field(default_factory=OrderedDict)
    """By page: when it last reported, from which network, and whether it had got an answer."""


@dataclass(slots=True)
class Health:
    """The health of every configured URL."""

    _urls: dict[IceUrl, _Url] = field(init=False, default_factory=dict)

    def keep(self, urls: list[str]) -> None:
        """Forget every URL that is not in `urls`."""
        parsed = {parse_ice_url(url): url for url in urls}
        self._urls = {key: self._urls.get(key) or _Url(text) for key, text in parsed.items()}

    def knows(self, host: str) -> bool:
        """Return whether `host` is that of a configured URL."""
        return any(key.host == host for key in self._urls)

    def checked(self, url: str, check: Check, now: float) -> None:
        """Record the server's own check of `url`."""
        known = self._urls.setdefault(parse_ice_url(url), _Url(url))
        is_good = not check.problem
        if known.run == 0 or (known.run > 0) != is_good:
            known.run, known.run_began = 0, now
        known.run += 1 if is_good else -1
        known.problem = check.problem or known.problem
        if check.seconds is not None:
            before = known.seconds if known.seconds is not None else check.seconds
            known.seconds = before * 0.7 + check.seconds * 0.3
        if check.relayed and check.relayed not in known.relayed:
            known.relayed.append(check.relayed)

    def heard(self, page: str, network: str, url: str, *, answered: bool, now: float) -> None:
        """Record that a page on `network` gathered a candidate from the server at `url`, or got an error."""
        try:
            known = self._urls.get(parse_reported_url(url))
        except IceError:
            return
        if known is None:
            return
        _, _, before = known.pages.pop(page, (0.0, "", False))
        # Each interface reports errors of its own: they mean nothing from a page that has got an answer.
        known.pages[page] = (now, network, answered or before)
        if answered:
            known.answered_at = now
        while len(known.pages) > _MOST_PAGES:
            known.pages.popitem(last=False)

    def review(self, now: float) -> list[Change]:
        """Return the changes since the last review."""
        changes = []
        reached = {key.transport for key, known in self._urls.items() if known.run > 0}
        for key, known in self._urls.items():
            problem = self._verdict(known, now, counts=key.transport in reached)
            if bool(problem) != known.is_left_out:
                known.is_left_out = bool(problem)
                changes.append(Change(known.text, problem))
        return changes

    @property
    def is_unsettled(self) -> bool:
        """Whether one more check may leave a URL out, or bring it back."""
        return any(
            abs(one.run) < IN_A_ROW and (one.run < 0) != one.is_left_out for one in self._urls.values() if one.run
        )

    def is_left_out(self, url: str) -> bool:
        """Return whether `url` is left out."""
        known = self._urls.get(parse_ice_url(url))
        return known is not None and known.is_left_out

    def left_out(self) -> dict[str, str]:
        """Return the URLs that no page is given, with the latest problem of each."""
        return {known.text: known.problem or _UNREACHED for known in self._urls.values() if known.is_left_out}

    def seen(self) -> dict[str, str]:
        """Return what the last check found at each URL that was checked: a problem, or an empty text."""
        return {known.text: known.problem if known.run < 0 else "" for known in self._urls.values() if known.run}

    def states(self) -> dict[str, tuple[bool, float | None]]:
        """Return for each known URL whether pages are given it, and the RTT from the server."""
        return {known.text: (not known.is_left_out, known.seconds) for known in self._urls.values()}

    def seconds(self, host: str) -> float | None:
        """Return the shortest round trip that the server itself measured to `host`."""
        known = [one.seconds for key, one in self._urls.items() if key.host == host and one.seconds is not None]
        return min(known, default=None)

    def relayed(self, urls: Iterable[str]) -> tuple[str, ...]:
        """Return the addresses, without ports, at which relays of `urls` were reached in the checks."""
        known = (self._urls.get(parse_ice_url(url)) for url in urls)
        return tuple(dict.fromkeys(address for one in known if one for address in one.relayed))

    @staticmethod
    def _verdict(known: _Url, now: float, *, counts: bool) -> str:
        if known.answered_at > now - REMEMBERED and known.answered_at >= known.run_began:
            return ""
        if counts and (known.run <= -IN_A_ROW or (known.is_left_out and known.run < IN_A_ROW)):
            return known.problem or _UNREACHED
        if known.run > 0:
            return ""
        words = [word for word in known.pages.values() if word[0] > now - REMEMBERED]
        unanswered = {network for _, network, answered in words if not answered}
        if len(words) >= PAGES and len(unanswered) >= 2 and not any(answered for *_, answered in words):
            return _UNREACHED
        return ""


_UNREACHED = "no page had an answer"

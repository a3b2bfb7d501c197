"""The results of gathering: candidates by type, and errors by server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from pyapp.protocol.entries import LocalCandidate, RemoteCandidate
from pyapp.protocol.ice import IceError, parse_candidate, parse_reported_url
from pyapp.protocol.peer import Candidate

_Side = TypeVar("_Side", LocalCandidate, RemoteCandidate)


def local_candidate(candidate: Candidate, url: str = "") -> LocalCandidate:
    """Return the entry of a candidate of ours from the server at `url`: everything except its credentials."""
    return _entry(LocalCandidate, candidate, url)


def remote_candidate(candidate: Candidate) -> RemoteCandidate:
    """Return the entry of a candidate of the peer's: everything except its credentials."""
    return _entry(RemoteCandidate, candidate, "")


def _entry(cls: type[_Side], candidate: Candidate, url: str) -> _Side:
    if not candidate.candidate:
        return cls(end=True, ufrag=candidate.username_fragment)
    try:
        line = parse_candidate(candidate.candidate)
    except IceError as error:
        return cls(problem=str(error))
    return cls(
        type=line.type,
        protocol=line.protocol,
        tcp_type=line.tcp_type,
        address=line.address,
        port=line.port,
        priority=line.priority,
        server=url,
        mid=candidate.sdp_mid,
        ufrag=candidate.username_fragment or line.username_fragment,
    )


@dataclass(frozen=True, slots=True)
class ServerProblem:
    """An ICE server that is known not to work."""

    url: str
    kind: Literal["credentials-refused", "quota-reached", "no-capacity", "no-answer", "loopback"]
    """`loopback`: it is on this machine alone, where the browser asks none."""


@dataclass(slots=True)
class Gathering:
    """What the ICE servers returned: candidates by type, and errors by server URL."""

    candidates: int = 0
    types: set[str] = field(default_factory=set)
    urls: set[str] = field(default_factory=set)
    errors: dict[str, dict[int, str]] = field(default_factory=dict)
    """By URL, then by code: the last error text."""
    has_nameless_relay: bool = False
    """Whether there is a relay of which the browser does not say by which server it is, as Firefox never does."""

    def candidate(self, one: LocalCandidate) -> None:
        """Count a local candidate."""
        if one.type:
            self.candidates += 1
            self.types.add(one.type)
            self.urls.add(one.server)
            self.has_nameless_relay |= one.type == "relay" and not one.server

    def error(self, url: str, code: int, text: str) -> None:
        """Count an `icecandidateerror`."""
        self.errors.setdefault(url, {})[code] = text

    @property
    def found_nothing(self) -> bool:
        """Whether there were errors, and no candidate."""
        return bool(self.errors) and not self.candidates

    def problems(self) -> list[ServerProblem]:
        """Return the servers that are known not to work.

        Codes are those of STUN (RFC 8489, section 14.8; RFC 8656, section 19) and 701 for no answer (W3C WebRTC 1.0,
        section 4.8.3.1). A 701 alone proves nothing, since it comes once per network interface: nor with a relay that
        may be of the same server.
        """
        result = []
        for url, by_code in self.errors.items():
            if url in self.urls:
                continue
            if by_code.keys() & {401, 403, 438, 441}:
                result.append(ServerProblem(url, "credentials-refused"))
            elif 486 in by_code:
                result.append(ServerProblem(url, "quota-reached"))
            elif 508 in by_code:
                result.append(ServerProblem(url, "no-capacity"))
            elif 701 in by_code and url.startswith("turn") and not self.has_nameless_relay:
                result.append(ServerProblem(url, "loopback" if _is_passed_over(url, by_code) else "no-answer"))
        return result

    def causes(self) -> list[str]:
        """Return the `icecandidateerror` events, one line each."""
        return [
            f"icecandidateerror {code} {text} ({url})"
            for url, by_code in self.errors.items()
            for code, text in by_code.items()
        ]


def _is_passed_over(url: str, by_code: Mapping[int, str]) -> bool:
    """Whether the browser has asked nobody: of a server on its own machine Firefox gives a 701 without a text."""
    try:
        return parse_reported_url(url).is_loopback and not any(by_code.values())
    except IceError:
        return False

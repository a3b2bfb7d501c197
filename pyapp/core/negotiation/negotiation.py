"""Perfect negotiation (W3C WebRTC 1.0, section 10.7) as a state machine without a browser.

The specification's three flags are one state here:

    stable            -> making-offer        `setLocalDescription()` was called       ("makingOffer")
    making-offer      -> have-local-offer    the offer is set, and sent
    have-local-offer  -> applying-answer     `setRemoteDescription(answer)` was called ("isSettingRemoteAnswerPending")
    applying-answer   -> stable
    any but answering -> answering           an offer came; our offer is rolled back if we are polite,
                                             a first offer with its `RTCPeerConnection`
    answering         -> stable              the answer is set, and sent

Two rules for candidates: ours are sent after the description that they belong to, theirs are applied after it. An ICE
generation is identified by its `ice-ufrag`; candidates of older ones are dropped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.negotiation.precedence import Precedence
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.ice import media_sections, username_fragments, with_candidates, without_stale_candidates
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from pyapp.protocol.wire import MAX_COUNT

NegotiationState: TypeAlias = Literal["stable", "making-offer", "have-local-offer", "applying-answer", "answering"]

MAX_HELD_CANDIDATES = 256
"""Candidates kept for a description that has not arrived; a generation of a well-connected machine has about 40."""


MAX_RETIRED = 1024
"""Older ICE generations that are remembered; a restart a minute makes as many in a day."""


@dataclass(frozen=True, slots=True)
class ToPeer:
    """An output of a part of the core beside its commands: a message for the peer."""

    message: PeerMessage


@dataclass(frozen=True, slots=True)
class BegunAnew:
    """Our first offer collided with the peer's: replace the `RTCPeerConnection` that made it.

    Chromium may no longer gather after its first offer was rolled back while gathering began. Nothing is lost, since
    nothing was agreed on that connection.
    """


Output: TypeAlias = PeerCommand | Entry | ToPeer | BegunAnew


@dataclass(slots=True)
class Negotiation:
    """Offers and answers of one `RTCPeerConnection`. The `polite` side yields when two offers collide.

    A side that is not the `initiator` leaves the first offer to its peer, so that the two do not collide at the start.
    """

    polite: bool
    initiator: bool
    is_firefox: bool = False
    """Whether our browser is Firefox: it prunes no pairs, and takes candidates at their stated priority."""
    shows_picture: Callable[[], bool] = lambda: False
    """Tells whether the peer shares its camera or its screen."""
    state: NegotiationState = field(init=False, default="stable")
    ice_generation: int = field(init=False, default=0)
    """The ICE generation of the last exchange: the number of restarts offered by either side until then."""
    gathers_relays: bool = field(init=False, default=True)
    """Whether relay candidates are gathered, at both ends: the last offer says so."""
    _needed: bool = field(init=False, default=False)
    _attempt: int = field(init=False, default=0)
    """The attempt number of the latest description that is being set, or was set."""
    _exchange: int = field(init=False, default=0)
    _remote_exchange: int = field(init=False, default=0)
    _generation: int = field(init=False, default=0)
    """The ICE generation of the current exchange."""
    _latest_generation: int = field(init=False, default=0)
    """The highest ICE generation that either side has offered."""
    _is_restarting: bool = field(init=False, default=False)
    """Whether the browser was told to restart ICE, and has not made the offer yet."""
    _local_fragments: frozenset[str] = field(init=False, default=frozenset())
    _remote_fragments: frozenset[str] = field(init=False, default=frozenset())
    _retired_fragments: frozenset[str] = field(init=False, default=frozenset())
    _dtls_role: str = field(init=False, default="")
    _has_answered_first: bool = field(init=False, default=False)
    """Whether the peer made the first offer."""
    _origin: str = field(init=False, default="")
    """The origin (`o=`) in our descriptions: "mozilla…" in Firefox, "-" in Chromium."""
    _remote_origin: str = field(init=False, default="")
    precedence: Precedence = field(init=False, default_factory=Precedence)
    _unsent: list[Candidate] = field(init=False, default_factory=list)
    _unapplied: list[Candidate] = field(init=False, default_factory=list)

    @property
    def fragments(self) -> tuple[frozenset[str], frozenset[str]]:
        """The `ice-ufrag` values of the latest local and remote descriptions: the ICE generation in use."""
        return self._local_fragments, self._remote_fragments

    @property
    def latest_generation(self) -> int:
        """The highest ICE generation that either side has offered, or that we are about to offer."""
        return self._latest_generation + self._is_restarting

    @property
    def leaves_restarts(self) -> bool:
        """Whether only the peer makes the offers of ICE restarts.

        Between Firefox and Chromium, the side that made the first offer makes them. Chromium's ICE role follows the
        offer of the restart, Firefox's stays that of the first offer. If the answerer offers a restart, the roles
        conflict: Chromium does not check the new pair, and keeps an old one that Firefox leaves.

        While we receive video, the impolite side makes them. If two offers collided, the polite side would roll its own
        back, and Chromium never shows the video again that it decodes after that.
        """
        if self.is_between_browsers:
            return self._has_answered_first
        return self.polite and self.shows_picture()

    @property
    def leads_restarts(self) -> bool:
        """Whether this side begins the restarts that either side could begin, so that only one does."""
        return not self._has_answered_first if self.is_between_browsers else not self.polite

    @property
    def restarts_may_collide(self) -> bool:
        """Whether both sides offer restarts, so that two offers may cross."""
        return not self.is_between_browsers and not self.leaves_restarts

    @property
    def is_between_browsers(self) -> bool:
        """Whether the peer's browser is of another kind than ours."""
        return bool(self._remote_origin) and self._origin != self._remote_origin

    def needed(self) -> list[Output]:
        """`negotiationneeded`: make an offer now, or after the current exchange."""
        if not self.initiator:
            # The browser fires it again after the first answer if the peer's offer did not cover everything.
            return []
        if self.state != "stable":
            self._needed = True
            return []
        self._needed = False
        self.state = "making-offer"
        return [self._set_local_description()]

    def restart(self, *, replace_offer: bool) -> list[PeerCommand]:
        """Begin a new ICE generation; with `replace_offer` even while an offer of ours is unanswered.

        The browser fires `negotiationneeded` only in the stable state. An offer that is lost, or whose candidates are
        of a network that is gone, must be replaced; its answer will be ignored.
        """
        self._is_restarting = True
        if replace_offer and self.state in ("making-offer", "have-local-offer"):
            self.state = "making-offer"
            return [commands.RestartIce(), self._set_local_description()]
        return [commands.RestartIce()]

    def take_initiative(self) -> list[Output]:
        """Make the first offer after all, since the peer did not."""
        if self.initiator:
            return []
        self.initiator = True
        return self.needed()

    def local_description_set(self, attempt: int, description: events.SessionDescription) -> list[Output]:
        """`setLocalDescription()` was fulfilled: send the description, if it still holds."""
        if attempt != self._attempt:
            return [entries.Ignored("local description", "replaced")]
        match self.state, description.type:
            case "making-offer", "offer":
                self.state = "have-local-offer"
                self._exchange += 1
                self._count_generation(description)
                return self._send(description, self._exchange)
            case "answering", "answer":
                self.initiator = True
                outputs = self._send(description, self._remote_exchange)
                return outputs + self._stable()
        return [entries.Ignored(f"local {description.type}", "not-awaited", state=self.state)]

    def remote_description(self, message: Description) -> list[Output]:
        """Handle an offer or an answer of the peer's."""
        if message.type == "answer":
            if self.state != "have-local-offer" or message.exchange != self._exchange:
                return [entries.Ignored("remote answer", "offer-gone", exchange=message.exchange)]
            description, left = self._handed(message)
            self.state = "applying-answer"
            self._dtls_role = {"active": "passive", "passive": "active"}.get(_setup(message.sdp), "")
            return [*left, self._set_remote_description(description), *self._remote_generation(description)]
        has_crossed = self.state in ("making-offer", "have-local-offer")
        if has_crossed and not self.polite:
            return [entries.Ignored("remote offer", "crossed")]
        is_first = not self._remote_fragments
        self._has_answered_first |= is_first
        begun_anew = self._begin_anew() if has_crossed and is_first else []
        self.state = "answering"
        self._remote_exchange = message.exchange
        self._generation = message.generation
        self._is_restarting = False
        self.gathers_relays = message.relays
        self._latest_generation = max(self._latest_generation, message.generation)
        # A description of ours that is still being set will be rolled back by the time it is reported.
        description, left = self._handed(message)
        return [*begun_anew, *left, self._set_remote_description(description)]

    def remote_description_set(self, attempt: int, description: events.SessionDescription) -> list[Output]:
        """`setRemoteDescription()` was fulfilled."""
        match self.state, description.type:
            case "applying-answer", "answer":
                return self._stable()
            case "answering", "answer":
                # The peer's next offer arrived while its answer was still being applied.
                self._settle()
            case "answering", "offer" if attempt == self._attempt:
                # The answer goes first: the peer's candidates can wait while it travels.
                return [self._set_local_description(), *self._remote_generation(description)]
        return []

    def local_candidate(self, candidate: Candidate) -> list[Output]:
        """`icecandidate`: send it at once, unless its description has not been sent yet (RFC 8838, section 9)."""
        if candidate.username_fragment in self._local_fragments or candidate.username_fragment is None:
            return [ToPeer(candidate)]
        self._unsent.append(candidate)
        return []

    def local_candidates_ended(self) -> list[Output]:
        """Gathering is complete: signal the end of candidates for the sent generation (RFC 8838, section 13)."""
        return [ToPeer(Candidate("", None, 0, fragment)) for fragment in sorted(self._local_fragments)]

    def remote_candidate(self, candidate: Candidate) -> list[Output]:
        """Handle a candidate of the peer's: apply it, keep it for its description, or drop it as too old."""
        fragment = candidate.username_fragment
        if fragment in self._remote_fragments or (fragment is None and self._remote_fragments):
            return self._add(candidate)
        if fragment in self._retired_fragments:
            return [entries.Ignored("remote candidate", "old-generation", ufrag=fragment)]
        self._unapplied.append(candidate)
        if len(self._unapplied) > MAX_HELD_CANDIDATES:
            dropped = self._unapplied.pop(0)
            return [entries.Ignored("remote candidate", "no-description", ufrag=dropped.username_fragment)]
        return []

    def operation_failed(self, operation: str, attempt: int) -> list[Output]:
        """Settle after a rejected call: the current exchange is over, and a later one starts afresh.

        The call may have waited in the browser's operations chain: an exchange that has begun since then goes on.
        """
        if operation in ("setLocalDescription", "setRemoteDescription") and attempt == self._attempt:
            self._generation = self.ice_generation
            self._is_restarting = False
            return self._stable()
        return []

    def _begin_anew(self) -> list[Output]:
        self.initiator = self._needed = False
        self._local_fragments = frozenset()
        return [BegunAnew()]

    def _count_generation(self, offer: events.SessionDescription) -> None:
        self._is_restarting = False
        is_first = not self._remote_fragments
        if not is_first and username_fragments(offer.sdp).isdisjoint(self._local_fragments):
            self._latest_generation = min(self._latest_generation + 1, MAX_COUNT)  # the peer can send any number
        self._generation = self._latest_generation

    def _set_local_description(self) -> PeerCommand:
        self._attempt += 1
        return commands.SetLocalDescription(self._attempt)

    def _set_remote_description(self, description: events.SessionDescription) -> PeerCommand:
        self._attempt += 1
        return commands.SetRemoteDescription(self._attempt, description)

    def _send(self, description: events.SessionDescription, exchange: int) -> list[Output]:
        self._local_fragments = username_fragments(description.sdp)
        self._origin = _origin(description.sdp)
        ready = [entry for entry in self._unsent if entry.username_fragment in self._local_fragments]
        # The rest belonged to an offer that was rolled back: it will never be needed.
        self._unsent.clear()
        sdp = without_stale_candidates(self._with_settled_role(description))
        message = Description(description.type, sdp, exchange, self._generation, self.gathers_relays)
        sent = entries.Description(message.type, exchange, own=True)
        return [sent, ToPeer(message), *(ToPeer(candidate) for candidate in ready)]

    def _with_settled_role(self, description: events.SessionDescription) -> str:
        """Return the SDP with the DTLS role agreed first instead of `actpass` (RFC 8842, section 5.3).

        If Firefox made the first offer, it answers a later one with `active` although it is passive, and Chromium then
        fails with "Failed to set SSL role". An offer that leaves no choice gets the right answer.
        """
        if description.type == "answer":
            self._dtls_role = _setup(description.sdp)
            return description.sdp
        if not self._dtls_role:
            return description.sdp
        return description.sdp.replace("a=setup:actpass", f"a=setup:{self._dtls_role}")

    def _remote_generation(self, description: events.SessionDescription) -> list[Output]:
        fragments = username_fragments(description.sdp)
        self._remote_origin = _origin(description.sdp)
        retired = self._retired_fragments if len(self._retired_fragments) < MAX_RETIRED else frozenset()
        self._retired_fragments = (retired | self._remote_fragments) - fragments
        self._remote_fragments = fragments
        ready = [
            entry
            for entry in self._unapplied
            if entry.username_fragment in fragments or entry.username_fragment is None
        ]
        self._unapplied = [entry for entry in self._unapplied if entry not in ready]
        return [command for candidate in ready for command in self._add(candidate)]

    def _handed(self, message: Description) -> tuple[events.SessionDescription, list[Output]]:
        """Return a description as it is given to the browser, and entries about what is left aside.

        It may be the first of a new generation. The candidates that came before it are put into it: to hand each to the
        browser would take longer than everything else that makes an answer.
        """
        if self.is_firefox:
            return events.SessionDescription(message.type, message.sdp), []
        fragments, sections = username_fragments(message.sdp), media_sections(message.sdp)
        if self._remote_fragments and fragments.isdisjoint(self._remote_fragments):
            self.precedence.begin(below_peer_reflexive=_origin(message.sdp).startswith(_FIREFOX))
        sdp = self.precedence.handed(message.sdp)
        early: dict[str, list[str]] = {}
        waiting: list[Candidate] = []
        left: list[Output] = []
        for entry in self._unapplied:
            mid = entry.sdp_mid
            if entry.username_fragment not in fragments or mid not in sections or mid is None or not entry.candidate:
                waiting.append(entry)
            elif (text := self._valued(entry)) is None:
                left.append(_pointless())
            else:
                early.setdefault(mid, []).append(text)
        self._unapplied = waiting
        return events.SessionDescription(message.type, with_candidates(sdp, early) if early else sdp), left

    def _add(self, candidate: Candidate) -> list[Output]:
        text = candidate.candidate if self.is_firefox else self._valued(candidate)
        return [_pointless()] if text is None else [commands.AddIceCandidate(replace(candidate, candidate=text))]

    def _valued(self, candidate: Candidate) -> str | None:
        """Return the text of a candidate as it is given to the browser, or None if it need not be."""
        is_pointless = self.precedence.is_pointless(candidate.candidate)
        text = self.precedence.handed(candidate.candidate)
        return None if is_pointless else text

    def _stable(self) -> list[Output]:
        self.state = "stable"
        self._settle()
        return self.needed() if self._needed else []

    def _settle(self) -> None:
        """Adopt the ICE generation of the completed exchange."""
        self.ice_generation = self._generation


_FIREFOX = "mozilla"
_ORIGIN = re.compile(r"^o=(\S+)", re.MULTILINE)
_SETUP = re.compile(r"^a=setup:(\w+)", re.MULTILINE)


def _origin(sdp: str) -> str:
    """Return the user name of a description's origin (RFC 8866, section 5.2), or empty."""
    match = _ORIGIN.search(sdp)
    return match[1] if match else ""


def _setup(sdp: str) -> str:
    """Return the first `setup` attribute of a description (RFC 8842, section 5.1), or empty."""
    match = _SETUP.search(sdp)
    return match[1] if match else ""


def _pointless() -> Entry:
    return entries.Ignored("remote candidate", "symmetric")

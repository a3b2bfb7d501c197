"""Perfect negotiation (W3C WebRTC 1.0, section 10.7) as a state machine without a browser.

The specification's three flags are one state here:

    stable            -> making-offer        `setLocalDescription()` was called       ("makingOffer")
    making-offer      -> have-local-offer    the offer is set, and sent
    have-local-offer  -> applying-answer     `setRemoteDescription(answer)` was called ("isSettingRemoteAnswerPending")
    applying-answer   -> stable
    any but answering -> answering           an offer came; an own offer is rolled back if this side is polite,
                                             an own first offer with its `RTCPeerConnection`
    answering         -> stable              the answer is set, and sent

Two rules for candidates: ours leave after the description that they belong to, theirs are applied after it. An ICE
generation is known by its `ice-ufrag`; what belongs to an older one is dropped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.diagnostics.journal import Note, note
from pyapp.core.negotiation.precedence import Precedence
from pyapp.protocol.ice import username_fragments
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from pyapp.protocol.wire import MAX_COUNT

NegotiationState: TypeAlias = Literal["stable", "making-offer", "have-local-offer", "applying-answer", "answering"]

MAX_HELD_CANDIDATES = 256
"""Candidates kept for a description that did not come yet; a generation of a well-connected machine has about 40."""


MAX_RETIRED = 1024
"""Older ICE generations that are remembered; a restart a minute makes as many in a day."""


@dataclass(frozen=True, slots=True)
class ToPeer:
    """An output of a part of the core beside its commands: a message for the other side."""

    message: PeerMessage


@dataclass(frozen=True, slots=True)
class BegunAnew:
    """Our first offer crossed the other side's: put a new `RTCPeerConnection` in the place of the one that made it.

    Chromium may gather nothing any more after a first offer was rolled back while its gathering began. Nothing is lost
    with a connection that nothing was agreed for.
    """


Output: TypeAlias = PeerCommand | Note | ToPeer | BegunAnew


@dataclass(slots=True)
class Negotiation:
    """Offers and answers of one `RTCPeerConnection`. `polite` yields when two offers cross.

    A side that is not `initiator` leaves the first offer to the other, so that the two do not cross at the start.
    """

    polite: bool
    initiator: bool
    is_firefox: bool = False
    """Whether our browser is Firefox: it prunes nothing, and takes candidates for what they are."""
    shows_picture: Callable[[], bool] = lambda: False
    """Says whether the other side shares its camera or its screen."""
    state: NegotiationState = field(init=False, default="stable")
    ice_generation: int = field(init=False, default=0)
    """The ICE generation of the last exchange: how many restarts were offered until then, by either side."""
    gathers_relays: bool = field(init=False, default=True)
    """Whether relay candidates are gathered, at both sides: the last offer says so."""
    _needed: bool = field(init=False, default=False)
    _attempt: int = field(init=False, default=0)
    """Of the latest description that is being set, or was."""
    _exchange: int = field(init=False, default=0)
    _remote_exchange: int = field(init=False, default=0)
    _generation: int = field(init=False, default=0)
    """That of the exchange under way."""
    _latest_generation: int = field(init=False, default=0)
    """The highest that either side has offered."""
    _local_fragments: frozenset[str] = field(init=False, default=frozenset())
    _remote_fragments: frozenset[str] = field(init=False, default=frozenset())
    _retired_fragments: frozenset[str] = field(init=False, default=frozenset())
    _dtls_role: str = field(init=False, default="")
    _has_answered_first: bool = field(init=False, default=False)
    """Whether the first offer was the other side's."""
    _origin: str = field(init=False, default="")
    """What our descriptions name as their origin (`o=`): Firefox is "mozilla…", Chromium "-"."""
    _remote_origin: str = field(init=False, default="")
    precedence: Precedence = field(init=False, default_factory=Precedence)
    _unsent: list[Candidate] = field(init=False, default_factory=list)
    _unapplied: list[Candidate] = field(init=False, default_factory=list)

    @property
    def fragments(self) -> tuple[frozenset[str], frozenset[str]]:
        """The `ice-ufrag` values of the latest local and remote descriptions: the ICE generation in use."""
        return self._local_fragments, self._remote_fragments

    @property
    def leaves_restarts(self) -> bool:
        """Whether the offers of ICE restarts are the other side's alone.

        Between Firefox and Chromium they are made by who made the first. Chromium's ICE role follows the restart's
        offer, Firefox's stays that of the first. If the other one offers a restart, their roles conflict: Chromium does
        not check the new pair, and stays with an old one that Firefox leaves.

        While we are shown a picture, they are made by the impolite side. If two offers crossed we would roll ours back,
        and Chromium never shows the picture again that it decodes after that.
        """
        if self.is_between_browsers:
            return self._has_answered_first
        return self.polite and self.shows_picture()

    @property
    def leads_restarts(self) -> bool:
        """Whether this side begins what restart either side could begin, so that only one does."""
        return not self._has_answered_first if self.is_between_browsers else not self.polite

    @property
    def is_between_browsers(self) -> bool:
        """Whether the other side's browser is of another kind than ours."""
        return bool(self._remote_origin) and self._origin != self._remote_origin

    def needed(self) -> list[Output]:
        """`negotiationneeded`: make an offer now, or when the exchange under way is over."""
        if not self.initiator:
            # The browser asks again after the first answer if the other side's offer did not cover it.
            return []
        if self.state != "stable":
            self._needed = True
            return []
        self._needed = False
        self.state = "making-offer"
        return [self._set_local_description()]

    def restart(self, *, replace_offer: bool) -> list[PeerCommand]:
        """Begin a new ICE generation; with `replace_offer` also while an offer of ours is still without an answer.

        The browser says `negotiationneeded` in a stable state only. An offer that is lost, or whose candidates are of a
        network that is gone, must be replaced; the answer to it will be left aside.
        """
        if replace_offer and self.state in ("making-offer", "have-local-offer"):
            self.state = "making-offer"
            return [commands.RestartIce(), self._set_local_description()]
        return [commands.RestartIce()]

    def take_initiative(self) -> list[Output]:
        """Make the first offer after all: the other side, whose turn it was, did not."""
        if self.initiator:
            return []
        self.initiator = True
        return self.needed()

    def local_description_set(self, attempt: int, description: events.SessionDescription) -> list[Output]:
        """`setLocalDescription()` is done: send what it set, if it still stands."""
        if attempt != self._attempt:
            return [_ignored("local description", "a remote offer took its place")]
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
        return [_ignored(f"local {description.type}", f"not awaited while {self.state}")]

    def remote_description(self, message: Description) -> list[Output]:
        """Take an offer or an answer of the other side."""
        if message.type == "answer":
            if self.state != "have-local-offer" or message.exchange != self._exchange:
                return [_ignored("remote answer", f"to offer {message.exchange}, which no longer stands")]
            description = self._handed(message)
            self.state = "applying-answer"
            self._dtls_role = {"active": "passive", "passive": "active"}.get(_setup(message.sdp), "")
            return [self._set_remote_description(description), *self._remote_generation(description)]
        has_crossed = self.state in ("making-offer", "have-local-offer")
        if has_crossed and not self.polite:
            return [_ignored("remote offer", "it crossed an own offer, and this is the impolite side")]
        is_first = not self._remote_fragments
        self._has_answered_first |= is_first
        begun_anew = self._begin_anew() if has_crossed and is_first else []
        self.state = "answering"
        self._remote_exchange = message.exchange
        self._generation = message.generation
        self.gathers_relays = message.relays
        self._latest_generation = max(self._latest_generation, message.generation)
        # What is still being set will have been rolled back by the time it is reported.
        return [*begun_anew, self._set_remote_description(self._handed(message))]

    def remote_description_set(self, attempt: int, description: events.SessionDescription) -> list[Output]:
        """`setRemoteDescription()` is done."""
        match self.state, description.type:
            case "applying-answer", "answer":
                return self._stable()
            case "answering", "answer":
                # The other side's next offer came while its answer was still being applied.
                self._settle()
            case "answering", "offer" if attempt == self._attempt:
                # The answer first: candidates of the other side have time while ours travels.
                return [self._set_local_description(), *self._remote_generation(description)]
        return []

    def local_candidate(self, candidate: Candidate) -> list[Output]:
        """`icecandidate`: send it at once, unless its description was not sent yet (RFC 8838, section 9)."""
        if candidate.username_fragment in self._local_fragments or candidate.username_fragment is None:
            return [ToPeer(candidate)]
        self._unsent.append(candidate)
        return []

    def local_candidates_ended(self) -> list[Output]:
        """Gathering is complete: say so for the generation whose description was sent (RFC 8838, section 13)."""
        return [ToPeer(Candidate("", None, 0, fragment)) for fragment in sorted(self._local_fragments)]

    def remote_candidate(self, candidate: Candidate) -> list[Output]:
        """Take a candidate: apply it, keep it for its description, or drop it with its generation."""
        fragment = candidate.username_fragment
        if fragment in self._remote_fragments or (fragment is None and self._remote_fragments):
            return self._add(candidate)
        if fragment in self._retired_fragments:
            return [_ignored("remote candidate", f"of an older ICE generation, {fragment}")]
        self._unapplied.append(candidate)
        if len(self._unapplied) > MAX_HELD_CANDIDATES:
            dropped = self._unapplied.pop(0)
            return [_ignored("remote candidate", f"no description came for {dropped.username_fragment}")]
        return []

    def operation_failed(self, operation: str, attempt: int) -> list[Output]:
        """Settle after a refused call: what was under way is over, and a later exchange starts anew.

        The call may have waited in the browser's chain: what has begun since then goes on.
        """
        if operation in ("setLocalDescription", "setRemoteDescription") and attempt == self._attempt:
            self._generation = self.ice_generation
            return self._stable()
        return []

    def _begin_anew(self) -> list[Output]:
        self.initiator = self._needed = False
        self._local_fragments = frozenset()
        return [BegunAnew()]

    def _count_generation(self, offer: events.SessionDescription) -> None:
        is_first = not self._remote_fragments
        if not is_first and username_fragments(offer.sdp).isdisjoint(self._local_fragments):
            self._latest_generation = min(self._latest_generation + 1, MAX_COUNT)  # the other side says any number
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
        # What is left belonged to an offer that was rolled back: nobody will ever ask for it.
        self._unsent.clear()
        sdp = self._with_settled_role(description)
        message = Description(description.type, sdp, exchange, self._generation, self.gathers_relays)
        sent = note(">", "description", message.type, exchange=exchange)
        return [sent, ToPeer(message), *(ToPeer(candidate) for candidate in ready)]

    def _with_settled_role(self, description: events.SessionDescription) -> str:
        """Return the SDP with the DTLS role that was agreed at first in the place of `actpass` (RFC 8842, section 5.3).

        If Firefox made the first offer it answers a later one with `active` though it is passive, and Chromium then
        fails with "Failed to set SSL role". An offer that leaves no choice is answered rightly.
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

    def _handed(self, message: Description) -> events.SessionDescription:
        """Return a description as it is handed to the browser; it may be the first of a new generation."""
        if self.is_firefox:
            return events.SessionDescription(message.type, message.sdp)
        if self._remote_fragments and username_fragments(message.sdp).isdisjoint(self._remote_fragments):
            self.precedence.begin(below_peer_reflexive=_origin(message.sdp).startswith(_FIREFOX))
        return events.SessionDescription(message.type, self.precedence.handed(message.sdp))

    def _add(self, candidate: Candidate) -> list[Output]:
        text = candidate.candidate
        if not self.is_firefox:
            is_pointless, text = self.precedence.is_pointless(text), self.precedence.handed(text)
            if is_pointless:
                return [_ignored("remote candidate", "of a symmetric network, whose first one will do")]
        return [commands.AddIceCandidate(replace(candidate, candidate=text))]

    def _stable(self) -> list[Output]:
        self.state = "stable"
        self._settle()
        return self.needed() if self._needed else []

    def _settle(self) -> None:
        """Take over the ICE generation of the exchange that is over."""
        self.ice_generation = self._generation


_FIREFOX = "mozilla"
_ORIGIN = re.compile(r"^o=(\S+)", re.MULTILINE)
_SETUP = re.compile(r"^a=setup:(\w+)", re.MULTILINE)


def _origin(sdp: str) -> str:
    """Return the user name of a description's origin (RFC 8866, section 5.2), or nothing."""
    match = _ORIGIN.search(sdp)
    return match[1] if match else ""


def _setup(sdp: str) -> str:
    """Return the first `setup` attribute of a description (RFC 8842, section 5.1), or nothing."""
    match = _SETUP.search(sdp)
    return match[1] if match else ""


def _ignored(what: str, why: str) -> Note:
    """Return an entry for something that came and was left aside."""
    return note("=", "ignored", f"{what} left aside: {why}", what=what, why=why)

"""Two negotiations joined by wires that keep order within a side, and none across them: every order must end well."""

import copy
import itertools
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.core import commands, events
from pyapp.core.negotiation.negotiation import BegunAnew, Negotiation, Output, ToPeer
from pyapp.protocol.entries import Entry
from pyapp.protocol.ice import parse_candidate, username_fragments
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from tests.unit.examples import examples
from tests.unit.pyapp.fakes import FakePeerConnection, gathered


@dataclass
class Side:
    negotiation: Negotiation
    browser: FakePeerConnection
    inbound: deque[PeerMessage] = field(default_factory=deque)
    sent: list[PeerMessage] = field(default_factory=list)

    def take(self, outputs: Sequence[Output], other: "Side") -> None:
        for output in outputs:
            match output:
                case ToPeer(message):
                    self.sent.append(message)
                    other.inbound.append(message)
                case Entry():
                    pass
                case BegunAnew():
                    self.browser = type(self.browser)(f"{self.browser.name}x")
                    self.browser.start()
                case (
                    commands.SetLocalDescription()
                    | commands.SetRemoteDescription()
                    | commands.AddIceCandidate()
                    | commands.RestartIce()
                ):
                    self.browser.perform(output)
                case _:
                    raise AssertionError(output)

    def deliver_event(self, other: "Side") -> None:
        event = self.browser.next_event()
        agreed = self.negotiation
        match event:
            case events.NegotiationNeeded():
                outputs = agreed.needed()
            case events.LocalDescriptionSet(attempt, description):
                outputs = agreed.local_description_set(attempt, description)
            case events.RemoteDescriptionSet(attempt, description):
                outputs = agreed.remote_description_set(attempt, description)
            case events.LocalCandidate(candidate, _):
                outputs = agreed.local_candidate(candidate)
            case events.LocalCandidatesEnded():
                outputs = agreed.local_candidates_ended()
            case events.PeerOperationFailed(operation, _, attempt):
                outputs = agreed.operation_failed(operation, attempt)
            case _:
                raise AssertionError(event)
        self.take(outputs, other)

    def deliver_message(self, other: "Side") -> None:
        message = self.inbound.popleft()
        if isinstance(message, Description):
            self.take(self.negotiation.remote_description(message), other)
        elif isinstance(message, Candidate):
            self.take(self.negotiation.remote_candidate(message), other)


@dataclass
class World:
    a: Side
    b: Side

    def actions(self) -> list[str]:
        """Name what can happen next: each queue keeps its order, and the queues are independent of each other."""
        result = []
        for name, side in (("a", self.a), ("b", self.b)):
            if side.browser.chain:
                result.append(f"{name}.step")
            if side.browser.emitted:
                result.append(f"{name}.event")
            if side.inbound:
                result.append(f"{name}.message")
        return result

    def act(self, action: str) -> None:
        name, what = action.split(".")
        side, other = (self.a, self.b) if name == "a" else (self.b, self.a)
        match what:
            case "step":
                side.browser.step()
            case "event":
                side.deliver_event(other)
            case "message":
                side.deliver_message(other)
            case "restart":
                side.browser.perform(commands.RestartIce())
            case "insist":
                side.take(side.negotiation.restart(replace_offer=True), other)
            case "media":
                side.browser.want_media()

    def check(self) -> None:
        for side, other in ((self.a, self.b), (self.b, self.a)):
            assert side.browser.failures == []
            assert side.negotiation.state == "stable"
            assert side.browser.state == "stable"
            assert username_fragments(side.browser.current_local) == username_fragments(other.browser.current_remote)
            assert not side.browser.restart_wanted
            fragment = next(iter(username_fragments(other.browser.current_local)))
            for text in gathered(other.browser.name):
                told = f"{fragment}/{parse_candidate(text).address}"
                assert told in side.browser.applied, "a candidate of the final generation was lost"
            for before, after in itertools.pairwise(side.browser.priorities.values()):
                assert max(before) < min(after), "a generation is worth no more than the one before"
        assert self.a.negotiation.ice_generation == self.b.negotiation.ice_generation

    def key(self) -> str:
        return repr(
            (self.a.negotiation, self.a.browser, self.a.inbound, self.b.negotiation, self.b.browser, self.b.inbound)
        )


def world(*, both_start: bool = False) -> World:
    a = Side(Negotiation(polite=False, initiator=True), FakePeerConnection("a"))
    b = Side(Negotiation(polite=True, initiator=both_start), FakePeerConnection("b"))
    a.browser.start()
    b.browser.start()
    return World(a, b)


def run(current: World, choose: random.Random) -> World:
    for _ in range(2000):
        actions = current.actions()
        if not actions:
            return current
        current.act(choose.choice(actions))
    raise AssertionError("the two never come to rest")


def connected(*, both_start: bool = False, seed: int = 0) -> World:
    current = run(world(both_start=both_start), random.Random(seed))
    current.check()
    return current


class QuietPeerConnection(FakePeerConnection):
    """Gathers nothing: every order of the descriptions alone is few enough to try them all."""

    def _gather(self, fragment: str) -> None:
        pass


def quiet(current: World) -> World:
    for side in (current.a, current.b):
        side.browser.__class__ = QuietPeerConnection
    return current


def check_descriptions(current: World) -> None:
    for side, other in ((current.a, current.b), (current.b, current.a)):
        assert side.browser.failures == []
        assert side.negotiation.state == side.browser.state == "stable"
        assert username_fragments(side.browser.current_local) == username_fragments(other.browser.current_remote)


class TestEveryOrder:
    @pytest.mark.parametrize("both_start", [False, True])
    def test_of_a_first_negotiation(self, both_start: bool) -> None:
        assert self._explore(quiet(world(both_start=both_start))) >= 1

    @pytest.mark.parametrize(
        "wishes",
        [
            ("a.restart",),
            ("b.restart",),
            ("a.restart", "b.restart"),
            ("b.media", "a.restart"),
            ("a.media", "a.event", "a.insist"),
            ("b.media", "b.event", "b.insist"),
            ("a.media", "a.event", "a.step", "a.event", "a.insist", "b.restart"),
            ("b.media", "b.event", "b.step", "b.event", "b.insist", "a.restart"),
        ],
    )
    def test_of_what_follows(self, wishes: tuple[str, ...]) -> None:
        current = quiet(connected())
        for wish in wishes:
            current.act(wish)
        assert self._explore(current) >= 1

    @staticmethod
    def _explore(start: World) -> int:
        seen: set[str] = set()
        ends = 0
        stack = [start]
        while stack:
            current = stack.pop()
            actions = current.actions()
            if not actions:
                check_descriptions(current)
                ends += 1
            for action in actions:
                following = copy.deepcopy(current)
                following.act(action)
                if (key := following.key()) not in seen:
                    seen.add(key)
                    stack.append(following)
        return ends


class TestAnyOrderWithCandidates:
    @given(st.integers(0, 2**32), st.booleans())
    @examples(200)
    def test_of_a_first_negotiation(self, seed: int, both_start: bool) -> None:
        connected(both_start=both_start, seed=seed)

    @given(
        st.integers(0, 2**32),
        st.lists(st.sampled_from(["a.restart", "b.restart", "a.media", "b.media"]), min_size=1, max_size=6),
    )
    @examples(400)
    def test_of_restarts_and_media_at_any_moment(self, seed: int, wishes: list[str]) -> None:
        choose = random.Random(seed)
        current = world(both_start=True)
        for wish in wishes:
            for _ in range(choose.randrange(12)):
                if actions := current.actions():
                    current.act(choose.choice(actions))
            current.act(wish)
        run(current, choose).check()

    @given(
        st.integers(0, 2**32),
        st.lists(st.sampled_from(["a.insist", "b.insist", "a.media", "b.media"]), min_size=1, max_size=6),
    )
    @examples(300)
    def test_of_restarts_that_replace_an_offer_without_an_answer(self, seed: int, wishes: list[str]) -> None:
        choose = random.Random(seed)
        current = connected(seed=seed)
        for wish in wishes:
            current.act(wish)
            for _ in range(choose.randrange(12)):
                if actions := current.actions():
                    current.act(choose.choice(actions))
        run(current, choose).check()

    def test_of_an_offer_that_was_replaced_after_the_other_side_had_it(self) -> None:
        current = connected()
        current.act("a.insist")
        for action in ("a.event", "a.step", "a.event", "b.message", "a.insist"):
            current.act(action)
        run(current, random.Random(0)).check()

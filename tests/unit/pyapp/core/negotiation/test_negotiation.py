"""One side of a negotiation; two of them joined are in test_two_sides.py."""

import random
from dataclasses import replace

import pytest

from pyapp.core import commands, events
from pyapp.core.negotiation.negotiation import MAX_HELD_CANDIDATES, MAX_RETIRED, BegunAnew, Negotiation, Output, ToPeer
from pyapp.core.negotiation.precedence import ABOVE_PEER_REFLEXIVE, Precedence
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.peer import Candidate, Description
from pyapp.protocol.wire import MAX_COUNT
from tests.unit.pyapp.core.negotiation.test_two_sides import connected, run
from tests.unit.pyapp.fakes import sdp


def is_ignored(output: Output) -> bool:
    return isinstance(output, Entry) and output.event == "ignored"


class TestGlare:
    def test_the_impolite_side_ignores_and_the_polite_side_yields(self) -> None:
        current = connected()
        current.act("a.restart")
        current.act("b.restart")
        run(current, random.Random(1)).check()
        # One exchange served both wishes.
        assert current.a.negotiation.ice_generation == 1

    @pytest.mark.parametrize("is_set", [False, True])
    def test_of_first_offers_is_no_rollback(self, is_set: bool) -> None:
        """Chromium may gather nothing any more after it."""
        agreed = Negotiation(polite=True, initiator=True)
        agreed.needed()
        if is_set:
            agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        begun_anew, apply = agreed.remote_description(offer("r1"))
        assert begun_anew == BegunAnew()
        assert isinstance(apply, commands.SetRemoteDescription)
        # What the connection that is gone still tells is of no account, nor does the new one offer beside its answer.
        assert agreed.local_candidates_ended() == []
        assert agreed.needed() == []

    def test_restarts_count_alike_on_both_sides(self) -> None:
        current = connected()
        for count, wish in enumerate(["a.restart", "b.restart", "b.restart", "a.restart"], start=1):
            current.act(wish)
            run(current, random.Random(count)).check()
            assert current.a.negotiation.ice_generation == count

    def test_media_is_no_restart(self) -> None:
        current = connected()
        current.act("b.media")
        run(current, random.Random(3)).check()
        assert current.a.negotiation.ice_generation == 0


class TestFirstOffer:
    def test_is_left_to_the_other_side_by_who_is_not_initiator(self) -> None:
        assert Negotiation(polite=True, initiator=False).needed() == []

    def test_is_made_after_all_on_demand_and_once(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        assert agreed.take_initiative() == [commands.SetLocalDescription(1)]
        assert agreed.take_initiative() == []


def offer(fragment: str, exchange: int = 1) -> Description:
    return Description("offer", sdp(fragment), exchange)


def candidate(fragment: str | None, number: int = 1) -> Candidate:
    return Candidate(f"candidate:{number} 1 udp 2122252543 192.0.2.1 9 typ host", "0", 0, fragment)


def handed(outputs: list[Output]) -> str:
    """Return the description that the browser is given."""
    (command,) = (output for output in outputs if isinstance(output, commands.SetRemoteDescription))
    return command.description.sdp


def adding(told: Candidate, *, restarts: int = 0) -> commands.AddIceCandidate:
    """Return how the other side's candidate is handed to the browser in the generation after so many restarts."""
    precedence = Precedence()
    for _ in range(restarts):
        precedence.begin(below_peer_reflexive=False)
    return commands.AddIceCandidate(replace(told, candidate=precedence.handed(told.candidate)))


class TestCandidatesOfTheOtherSide:
    def agreed(self, fragment: str = "r1") -> Negotiation:
        result = Negotiation(polite=True, initiator=False)
        self.take_offer(result, fragment)
        return result

    @staticmethod
    def take_offer(agreed: Negotiation, fragment: str, exchange: int = 1) -> list[Output]:
        outputs = agreed.remote_description(offer(fragment, exchange))
        first = outputs[0]
        assert isinstance(first, commands.SetRemoteDescription)
        outputs += agreed.remote_description_set(first.attempt, first.description)
        attempt = next(output.attempt for output in outputs if isinstance(output, commands.SetLocalDescription))
        answer = events.SessionDescription("answer", sdp(f"l{exchange}"))
        return outputs + agreed.local_description_set(attempt, answer)

    def test_that_come_early_wait_for_their_description_and_are_put_into_it(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        for number in (1, 2):
            assert agreed.remote_candidate(candidate("r1", number)) == []
        outputs = self.take_offer(agreed, "r1")
        texts = [adding(candidate("r1", number)).candidate.candidate for number in (1, 2)]
        section = "".join(f"a={text}\r\n" for text in ("mid:0", *texts))
        assert section in handed(outputs)
        assert not any(isinstance(output, commands.AddIceCandidate) for output in outputs)

    def test_that_name_no_section_of_it_follow_it(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        early = [replace(candidate("r1"), sdp_mid=mid) for mid in ("1", None)]
        early.append(Candidate("", "0", 0, "r1"))
        for one in early:
            agreed.remote_candidate(one)
        outputs = self.take_offer(agreed, "r1")
        added = [output for output in outputs if isinstance(output, commands.AddIceCandidate)]
        assert [output.candidate.sdp_mid for output in added] == ["1", None, "0"]
        assert "candidate:" not in handed(outputs)

    def test_that_come_early_are_handed_to_firefox_one_by_one(self) -> None:
        agreed = Negotiation(polite=True, initiator=False, is_firefox=True)
        agreed.remote_candidate(candidate("r1"))
        assert commands.AddIceCandidate(candidate("r1")) in self.take_offer(agreed, "r1")

    def test_that_come_in_time_are_applied(self) -> None:
        assert self.agreed().remote_candidate(candidate("r1")) == [adding(candidate("r1"))]

    def test_that_come_twice_are_harmless(self) -> None:
        agreed = self.agreed()
        assert agreed.remote_candidate(candidate("r1")) == agreed.remote_candidate(candidate("r1")) != []

    def test_of_an_older_generation_are_dropped(self) -> None:
        agreed = self.agreed()
        self.take_offer(agreed, "r2", exchange=2)
        (output,) = agreed.remote_candidate(candidate("r1"))
        assert is_ignored(output)

    def test_of_the_next_generation_wait(self) -> None:
        agreed = self.agreed()
        assert agreed.remote_candidate(candidate("r2")) == []
        expected = adding(candidate("r2"), restarts=1).candidate.candidate
        assert expected in handed(self.take_offer(agreed, "r2", exchange=2))

    def test_without_a_fragment_belong_to_what_is_there(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        assert agreed.remote_candidate(candidate(None)) == []
        assert adding(candidate(None)) in self.take_offer(agreed, "r1")
        assert agreed.remote_candidate(candidate(None, 2)) == [adding(candidate(None, 2))]

    def test_the_end_of_candidates_is_passed_on(self) -> None:
        end = Candidate("", None, 0, "r1")
        assert self.agreed().remote_candidate(end) == [commands.AddIceCandidate(end)]

    def test_for_which_no_description_ever_comes_are_bounded(self) -> None:
        agreed = self.agreed()
        for number in range(MAX_HELD_CANDIDATES):
            assert agreed.remote_candidate(candidate("never", number)) == []
        (output,) = agreed.remote_candidate(candidate("never", 9999))
        assert is_ignored(output)


class TestCandidatesOfThisSide:
    def test_leave_after_their_description_and_not_before(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        assert agreed.local_candidate(candidate("l1")) == []
        outputs = agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        sent = entries.Description("offer", 1, own=True)
        assert outputs == [sent, ToPeer(Description("offer", sdp("l1"), 1)), ToPeer(candidate("l1"))]
        assert agreed.local_candidate(candidate("l1", 2)) == [ToPeer(candidate("l1", 2))]

    def test_of_an_offer_that_was_rolled_back_never_leave(self) -> None:
        agreed = TestCandidatesOfTheOtherSide().agreed("r1")
        agreed.needed()
        agreed.local_candidate(candidate("rolled-back"))
        outputs = TestCandidatesOfTheOtherSide.take_offer(agreed, "r2", 2)
        assert ToPeer(candidate("rolled-back")) not in outputs

    def test_end_with_the_fragment_of_their_generation(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        assert agreed.local_candidates_ended() == [ToPeer(Candidate("", None, 0, "l1"))]


class TestAnswers:
    def test_to_an_older_offer_are_left_aside(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        (output,) = agreed.remote_description(Description("answer", sdp("r1"), 7))
        assert is_ignored(output)
        assert agreed.state == "have-local-offer"

    def test_without_an_offer_are_left_aside(self) -> None:
        (output,) = Negotiation(polite=False, initiator=True).remote_description(Description("answer", sdp("r1"), 1))
        assert is_ignored(output)

    def test_that_the_browser_refuses_leave_the_way_free_for_the_next_offer(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        agreed.remote_description(Description("answer", sdp("r1"), 1))
        assert agreed.operation_failed("setRemoteDescription", 2) == []
        assert agreed.needed() == [commands.SetLocalDescription(3)]

    def test_that_the_browser_refuses_late_do_not_end_the_exchange_that_has_begun_since(self) -> None:
        agreed = TestCandidatesOfTheOtherSide().agreed("r1")
        (making,) = agreed.needed()
        assert isinstance(making, commands.SetLocalDescription)
        agreed.local_description_set(making.attempt, events.SessionDescription("offer", sdp("l2")))
        (answer,) = agreed.remote_description(Description("answer", sdp("r2"), 1))
        (newer,) = agreed.remote_description(offer("r3", 2))
        assert isinstance(answer, commands.SetRemoteDescription)
        assert isinstance(newer, commands.SetRemoteDescription)
        assert agreed.operation_failed("setRemoteDescription", answer.attempt) == []
        assert agreed.operation_failed("setLocalDescription", making.attempt) == []
        assert agreed.state == "answering"
        assert isinstance(agreed.remote_description_set(newer.attempt, newer.description)[0], type(making))
        assert agreed.operation_failed("setRemoteDescription", newer.attempt) == []
        assert agreed.state == "answering"

    def test_that_the_page_hears_of_late_do_not_pass_for_newer_ones(self) -> None:
        """Chromium reports an offer that was rolled back with the older answer as `localDescription`."""
        agreed = TestCandidatesOfTheOtherSide().agreed("r1")
        (making,) = agreed.needed()
        assert isinstance(making, commands.SetLocalDescription)
        first = agreed.remote_description(offer("r2", 2))[0]
        assert isinstance(first, commands.SetRemoteDescription)
        (ignored,) = agreed.local_description_set(making.attempt, events.SessionDescription("answer", sdp("old")))
        assert is_ignored(ignored)
        (answer, *_) = agreed.remote_description_set(first.attempt, first.description)
        assert isinstance(answer, commands.SetLocalDescription)

    def test_are_sent_without_what_an_offer_had_gathered_that_was_rolled_back(self) -> None:
        agreed = TestCandidatesOfTheOtherSide().agreed("r1")
        agreed.needed()
        first = agreed.remote_description(offer("r2", 2))[0]
        assert isinstance(first, commands.SetRemoteDescription)
        (answer, *_) = agreed.remote_description_set(first.attempt, first.description)
        assert isinstance(answer, commands.SetLocalDescription)
        described = sdp("l3") + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag l2\r\n"
        outputs = agreed.local_description_set(answer.attempt, events.SessionDescription("answer", described))
        (message,) = (output.message for output in outputs if isinstance(output, ToPeer))
        assert isinstance(message, Description)
        assert message.sdp == sdp("l3")


class TestAHostileSide:
    def test_cannot_make_a_restart_of_ours_impossible_by_the_number_of_its_own(self) -> None:
        agreed = TestCandidatesOfTheOtherSide().agreed("r1")
        TestCandidatesOfTheOtherSide.take_offer(agreed, "r2", 2)
        (apply,) = agreed.remote_description(Description("offer", sdp("r3"), 3, MAX_COUNT))
        assert isinstance(apply, commands.SetRemoteDescription)
        (answer, *_) = agreed.remote_description_set(apply.attempt, apply.description)
        assert isinstance(answer, commands.SetLocalDescription)
        agreed.local_description_set(answer.attempt, events.SessionDescription("answer", sdp("l3")))
        (making,) = agreed.needed()
        assert isinstance(making, commands.SetLocalDescription)
        (_, offered) = agreed.local_description_set(making.attempt, events.SessionDescription("offer", sdp("l4")))
        assert offered == ToPeer(Description("offer", sdp("l4"), 1, MAX_COUNT))

    def test_leaves_only_so_much_of_its_older_generations(self) -> None:
        agreed = TestCandidatesOfTheOtherSide().agreed("r1")
        for exchange in range(2, 8):
            many = "".join(sdp(f"{exchange}-{number}") for number in range(MAX_RETIRED))
            (apply,) = agreed.remote_description(Description("offer", many, exchange))
            assert isinstance(apply, commands.SetRemoteDescription)
            agreed.remote_description_set(apply.attempt, apply.description)
        assert len(agreed._retired_fragments) <= 2 * MAX_RETIRED


class TestNegotiationNeeded:
    def test_during_an_exchange_is_served_when_it_is_over(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        assert agreed.needed() == []
        answer = agreed.remote_description(Description("answer", sdp("r1"), 1))[0]
        assert isinstance(answer, commands.SetRemoteDescription)
        assert agreed.remote_description_set(answer.attempt, answer.description) == [commands.SetLocalDescription(3)]


class TestTheIceRole:
    CHROMIUM, FIREFOX = "o=- 1 2 IN IP4 127.0.0.1", "o=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0"

    def exchanged(self, local: str, remote: str, *, answers: bool) -> Negotiation:
        agreed = Negotiation(polite=answers, initiator=not answers)
        ours, theirs = f"{sdp('l1')}{local}\r\n", f"{sdp('r1')}{remote}\r\n"
        if answers:
            (apply,) = agreed.remote_description(Description("offer", theirs, 1))
            assert isinstance(apply, commands.SetRemoteDescription)
            agreed.remote_description_set(apply.attempt, apply.description)
            agreed.local_description_set(agreed._attempt, events.SessionDescription("answer", ours))
        else:
            agreed.needed()
            agreed.local_description_set(agreed._attempt, events.SessionDescription("offer", ours))
            agreed.remote_description(Description("answer", theirs, 1))
        return agreed

    @pytest.mark.parametrize(("local", "remote"), [(CHROMIUM, FIREFOX), (FIREFOX, CHROMIUM)])
    def test_of_two_makes_stays_with_who_made_the_first_offer(self, local: str, remote: str) -> None:
        assert self.exchanged(local, remote, answers=True).leaves_restarts
        assert not self.exchanged(local, remote, answers=False).leaves_restarts

    @pytest.mark.parametrize("origin", [CHROMIUM, FIREFOX])
    def test_of_two_of_a_kind_is_either_sides(self, origin: str) -> None:
        assert not self.exchanged(origin, origin, answers=True).leaves_restarts

    @pytest.mark.parametrize(("remote", "may"), [(CHROMIUM, True), (FIREFOX, False)])
    @pytest.mark.parametrize("answers", [False, True])
    def test_of_two_a_kind_lets_restarts_collide(self, remote: str, *, may: bool, answers: bool) -> None:
        assert self.exchanged(self.CHROMIUM, remote, answers=answers).restarts_may_collide is may


class TestWhatTheirCandidatesAreWorth:
    """In the browser that is not Firefox, which takes them for what they are."""

    CHROMIUM, FIREFOX = TestTheIceRole.CHROMIUM, TestTheIceRole.FIREFOX
    HOST = "candidate:1 1 udp 2122252543 192.0.2.7 9 typ host"

    def taken(
        self, local: str, remote: str, *, answers: bool, restarts: int = 1, selected: int = 0, is_firefox: bool = False
    ) -> list[str]:
        """Return what the browser is given for `HOST` in the last generation: in a description, and alone."""
        agreed = TestTheIceRole().exchanged(local, remote, answers=answers)
        agreed.is_firefox = is_firefox
        answer = events.SessionDescription("answer", f"{sdp('r1')}{remote}\r\n")
        agreed.remote_description_set(agreed._attempt, answer)
        texts: list[str] = []
        for number in range(2, restarts + 2):
            agreed.precedence.selected = selected
            described = f"{sdp(f'r{number}')}{remote}\r\na={self.HOST}\r\n"
            if answers:
                (apply,) = agreed.remote_description(Description("offer", described, number))
            else:
                agreed.needed()
                ours = events.SessionDescription("offer", f"{sdp(f'l{number}')}{local}\r\n")
                agreed.local_description_set(agreed._attempt, ours)
                (apply,) = agreed.remote_description(Description("answer", described, number))
            assert isinstance(apply, commands.SetRemoteDescription)
            agreed.remote_description_set(apply.attempt, apply.description)
            (add,) = agreed.remote_candidate(Candidate(self.HOST, "0", 0, f"r{number}"))
            assert isinstance(add, commands.AddIceCandidate)
            texts = [apply.description.sdp.rpartition("a=")[2].strip(), add.candidate.candidate]
            if answers:
                ours = events.SessionDescription("answer", f"{sdp(f'l{number}')}{local}\r\n")
                agreed.local_description_set(agreed._attempt, ours)
            assert agreed.state == "stable"
        return texts

    def priority(self, texts: list[str]) -> int:
        """Return the one priority in `texts`, which say nothing else but what `HOST` says."""
        (text,) = set(texts)
        words = self.HOST.split(" ")
        words[3] = text.split(" ")[3]
        assert text == " ".join(words)
        return int(words[3])

    @pytest.mark.parametrize("answers", [True, False])
    @pytest.mark.parametrize("made_by", [(CHROMIUM, CHROMIUM), (CHROMIUM, FIREFOX)])
    def test_is_more_with_each_generation_and_less_than_any_of_ours(
        self, made_by: tuple[str, str], *, answers: bool
    ) -> None:
        worth = [self.priority(self.taken(*made_by, answers=answers, restarts=restarts)) for restarts in (1, 2, 3)]
        assert worth == sorted(set(worth))
        assert worth[-1] < 8191

    @pytest.mark.parametrize("answers", [True, False])
    def test_is_more_than_the_pair_that_the_browser_found_itself(self, *, answers: bool) -> None:
        selected = (110 << 24) + 65_535
        taken = self.taken(self.CHROMIUM, self.CHROMIUM, answers=answers, selected=selected)
        assert self.priority(taken) > selected

    @pytest.mark.parametrize("answers", [True, False])
    def test_is_less_than_what_firefox_checks_from_before_its_answer(self, *, answers: bool) -> None:
        """Chromium must not take one of an older generation for better than that: Firefox is about to leave it."""
        selected = (110 << 24) + 65_535
        taken = self.taken(self.CHROMIUM, self.FIREFOX, answers=answers, selected=selected)
        assert self.priority(taken) < 110 << 24 < ABOVE_PEER_REFLEXIVE

    @pytest.mark.parametrize("answers", [True, False])
    @pytest.mark.parametrize("remote", [CHROMIUM, FIREFOX])
    def test_stays_in_firefox(self, remote: str, *, answers: bool) -> None:
        taken = self.taken(self.FIREFOX, remote, answers=answers, restarts=2, selected=1 << 30, is_firefox=True)
        assert taken == [self.HOST, self.HOST]

    def test_stays_in_a_description_that_is_of_the_same_generation(self) -> None:
        """Media is no restart: what was handed over before must not look like another one."""
        agreed = TestTheIceRole().exchanged(self.CHROMIUM, self.CHROMIUM, answers=True)
        described = f"{sdp('r1')}{self.CHROMIUM}\r\na={self.HOST}\r\n"
        worth = set()
        for exchange in (2, 3):
            (apply,) = agreed.remote_description(Description("offer", described, exchange))
            assert isinstance(apply, commands.SetRemoteDescription)
            agreed.remote_description_set(apply.attempt, apply.description)
            worth.add(apply.description.sdp)
            ours = events.SessionDescription("answer", f"{sdp('l1')}{self.CHROMIUM}\r\n")
            agreed.local_description_set(agreed._attempt, ours)
        assert len(worth) == 1

    def test_is_no_more_for_an_offer_that_was_ignored(self) -> None:
        agreed = TestTheIceRole().exchanged(self.CHROMIUM, self.CHROMIUM, answers=False)
        answer = events.SessionDescription("answer", f"{sdp('r1')}{self.CHROMIUM}\r\n")
        agreed.remote_description_set(agreed._attempt, answer)
        before = agreed.remote_candidate(candidate("r1"))
        agreed.needed()
        (ignored,) = agreed.remote_description(Description("offer", sdp("r2"), 1, 1))
        assert is_ignored(ignored)
        assert agreed.remote_candidate(candidate("r1")) == before == [adding(candidate("r1"))]

    def test_is_not_asked_of_a_second_port_that_came_before_its_description(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        for port in (7, 8):
            line = f"candidate:2 1 udp 1677729535 203.0.113.1 {port} typ srflx raddr 0.0.0.0 rport 0"
            agreed.remote_candidate(Candidate(line, "0", 0, "r1"))
        left, apply = agreed.remote_description(offer("r1"))
        assert is_ignored(left)
        assert isinstance(apply, commands.SetRemoteDescription)
        assert apply.description.sdp.count("a=candidate:") == 1

    @pytest.mark.parametrize("is_firefox", [False, True])
    def test_is_not_asked_of_a_second_port_of_a_symmetric_network(self, *, is_firefox: bool) -> None:
        agreed = TestTheIceRole().exchanged(self.CHROMIUM, self.CHROMIUM, answers=False)
        agreed.is_firefox = is_firefox
        lines = [f"candidate:2 1 udp 1677729535 203.0.113.1 {port} typ srflx raddr 0.0.0.0 rport 0" for port in (7, 8)]
        first, second = (agreed.remote_candidate(Candidate(line, "0", 0, "r1")) for line in lines)
        assert [type(output) for output in first] == [commands.AddIceCandidate]
        assert [type(output) for output in second] == [commands.AddIceCandidate if is_firefox else entries.Ignored]


class TestTheDtlsRole:
    """Firefox answers a later offer with `active` although it is passive, if it made the first one."""

    ACTPASS = sdp("l1") + "a=setup:actpass\r\n"

    @pytest.mark.parametrize(("theirs", "ours"), [("active", "passive"), ("passive", "active")])
    def test_that_the_other_side_left_to_us_stands_in_later_offers(self, theirs: str, ours: str) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        (_, first) = agreed.local_description_set(1, events.SessionDescription("offer", self.ACTPASS))
        assert first == ToPeer(Description("offer", self.ACTPASS, 1))
        answer = sdp("r1") + f"a=setup:{theirs}\r\n"
        applying = agreed.remote_description(Description("answer", answer, 1))[0]
        assert isinstance(applying, commands.SetRemoteDescription)
        agreed.remote_description_set(applying.attempt, applying.description)
        agreed.needed()
        (_, second) = agreed.local_description_set(3, events.SessionDescription("offer", self.ACTPASS))
        assert second == ToPeer(Description("offer", self.ACTPASS.replace("actpass", ours), 2))

    def test_that_we_chose_ourselves_stands_in_later_offers(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        applying = agreed.remote_description(offer("r1"))[0]
        assert isinstance(applying, commands.SetRemoteDescription)
        agreed.remote_description_set(applying.attempt, applying.description)
        agreed.local_description_set(2, events.SessionDescription("answer", sdp("l1") + "a=setup:active\r\n"))
        agreed.needed()
        (_, sent) = agreed.local_description_set(3, events.SessionDescription("offer", self.ACTPASS))
        assert isinstance(sent, ToPeer)
        assert isinstance(sent.message, Description)
        assert sent.message.sdp == self.ACTPASS.replace("actpass", "active")

    def test_is_changed_in_every_section(self) -> None:
        agreed = Negotiation(polite=True, initiator=False)
        applying = agreed.remote_description(offer("r1"))[0]
        assert isinstance(applying, commands.SetRemoteDescription)
        agreed.remote_description_set(applying.attempt, applying.description)
        agreed.local_description_set(2, events.SessionDescription("answer", sdp("l1") + "a=setup:active\r\n"))
        agreed.needed()
        (_, sent) = agreed.local_description_set(3, events.SessionDescription("offer", self.ACTPASS * 3))
        assert isinstance(sent, ToPeer)
        assert isinstance(sent.message, Description)
        assert sent.message.sdp.count("a=setup:active") == 3


class TestARestart:
    def test_in_a_stable_state_is_left_to_the_browser(self) -> None:
        assert Negotiation(polite=True, initiator=True).restart(replace_offer=True) == [commands.RestartIce()]

    def test_replaces_an_offer_without_an_answer_and_leaves_its_answer_aside(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        assert agreed.restart(replace_offer=True) == [commands.RestartIce(), commands.SetLocalDescription(2)]
        (ignored,) = agreed.remote_description(Description("answer", sdp("r1"), 1))
        assert is_ignored(ignored)
        agreed.local_description_set(2, events.SessionDescription("offer", sdp("l2")))
        (ignored,) = agreed.remote_description(Description("answer", sdp("r1"), 1))
        assert is_ignored(ignored)
        (applying,) = agreed.remote_description(Description("answer", sdp("r1"), 2))
        assert isinstance(applying, commands.SetRemoteDescription)

    def test_by_hand_waits_for_the_answer_that_is_on_its_way(self) -> None:
        agreed = Negotiation(polite=False, initiator=True)
        agreed.needed()
        agreed.local_description_set(1, events.SessionDescription("offer", sdp("l1")))
        assert agreed.restart(replace_offer=False) == [commands.RestartIce()]
        assert agreed.state == "have-local-offer"

    def test_while_answering_waits_for_its_end(self) -> None:
        agreed = Negotiation(polite=True, initiator=True)
        agreed.remote_description(offer("r1"))
        assert agreed.restart(replace_offer=True) == [commands.RestartIce()]
        assert agreed.needed() == []

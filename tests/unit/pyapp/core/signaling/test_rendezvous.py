"""A place in a session, at one side."""

from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import ANY

import pytest

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.signaling.link import FIRST_PATIENCE, LAST_PATIENCE, OPENING, PING, PING_EVERY, RETRY
from pyapp.core.signaling.rendezvous import (
    ACKNOWLEDGE,
    ACKNOWLEDGE_AFTER,
    AWAITED,
    LATE,
    SEND_AGAIN,
    SEND_AGAIN_AFTER,
    TIMERS,
    TOGETHER,
    TOGETHER_AFTER,
    Joined,
    Output,
    PeerArrived,
    PeerAway,
    PeerGone,
    PeerSaid,
    Refused,
    Rendezvous,
)
from pyapp.core.timers import PlaceTimer
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from pyapp.protocol.signaling import (
    FATAL_CODES,
    Error,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Ping,
    Pong,
    Relay,
    Relayed,
    Welcome,
)

A, B, C = "a" * 32, "b" * 32, "c" * 32


FORGOTTEN = [commands.CancelTimer(name) for name in (ACKNOWLEDGE, AWAITED, LATE)]
"""What becomes of the timers when the other side is forgotten."""

SETTLED = [commands.CancelTimer(OPENING), commands.StartTimer(PING, PING_EVERY)]
"""What the server's welcome always means for the timers."""


OFFER = Description("offer", "v=0", 1)
END = Candidate("", "0", 0, "u")


def candidate(number: int) -> Candidate:
    return Candidate(f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host", "0", 0, "u")


def rendezvous(participant: str = A, *, epoch: int = 1) -> Rendezvous:
    return Rendezvous("demo", participant, participant, "token", epoch)


def present(*, peer: str = "", polite: bool = False) -> Rendezvous:
    place = rendezvous()
    place.open()
    opened(place, 0.0)
    place.received(Welcome(polite, peer), 0.0)
    return place


def frames(outputs: Sequence[Output]) -> list[Relay]:
    return [
        output.message
        for output in outputs
        if isinstance(output, commands.SendSignaling) and isinstance(output.message, Relay)
    ]


def opened(place: Rendezvous, now: float) -> list[Output]:
    """Take it that the socket that is being opened is open; if there is none, that one was."""
    return place.opened(place.link.opening or place.link.sockets + 1, now)


def closed(place: Rendezvous, code: int, reason: str) -> list[Command]:
    """Take it that the socket that is being opened closed; if there is none, the one in use."""
    return place.link.closed(place.link.opening or place.link.socket, code, reason)


def relays(outputs: Sequence[Output]) -> list[Relay]:
    """Return what is relayed, each body as if it travelled alone."""
    return [
        replace(frame, number=frame.number + place, body=body, more=())
        for frame in frames(outputs)
        for place, body in enumerate((frame.body, *frame.more))
    ]


def heard(outputs: Sequence[Output]) -> list[PeerMessage]:
    return [output.message for output in outputs if isinstance(output, PeerSaid)]


class TestJoining:
    def test_opens_a_socket_and_then_says_who_we_are(self) -> None:
        place = rendezvous()
        assert place.open() == [
            commands.CancelTimer(RETRY),
            commands.OpenSignaling(ANY),
            commands.StartTimer(OPENING, LAST_PATIENCE),
        ]
        assert commands.SendSignaling(Join("demo", A, A, "token")) in opened(place, 0.0)
        assert place.state == "joining"

    def test_alone_makes_the_first_offer_ours(self) -> None:
        place = rendezvous()
        assert place.received(Welcome(polite=False, peer=""), 0.0) == [*SETTLED, Joined(polite=False, alone=True)]
        assert (place.state, place.polite, place.peer) == ("present", False, "")

    def test_second_finds_the_other_side_there(self) -> None:
        place = rendezvous()
        assert place.received(Welcome(polite=True, peer=B), 0.0) == [
            *SETTLED,
            Joined(polite=True, alone=False),
            PeerArrived(),
        ]
        assert (place.polite, place.peer) == (True, B)

    def test_sends_nothing_before_the_server_says_welcome(self) -> None:
        place = rendezvous()
        for step in (place.open, lambda: opened(place, 0.0), list):
            step()
            assert place.send(candidate(1), 0.0) == []
        outputs = place.received(Welcome(polite=False, peer=""), 0.0)
        assert [relay.number for relay in relays(outputs)] == [1, 2, 3]

    def test_does_not_show_secrets_in_its_repr(self) -> None:
        place = Rendezvous("demo", A, "the-key", "the-token")
        assert "the-key" not in repr(place)
        assert "the-token" not in repr(place)


class TestTheOtherSide:
    def test_that_comes_later_is_announced_once(self) -> None:
        place = present()
        assert place.received(PeerJoined(B), 0.0) == [PeerArrived()]
        assert place.received(PeerJoined(B), 0.0) == [commands.CancelTimer(AWAITED)]

    def test_hears_by_name_what_was_said_after_it_came(self) -> None:
        place = present()
        assert relays(place.send(OFFER, 0.0)) == [Relay("", 1, 0, OFFER)]
        assert relays(place.received(PeerJoined(B), 0.0)) == []
        assert relays(place.send(candidate(2), 0.0)) == [Relay(B, 2, 0, candidate(2))]

    def test_that_has_a_new_socket_gets_again_what_it_did_not_acknowledge(self) -> None:
        place = present(peer=B)
        for number in (1, 2, 3):
            place.send(candidate(number), 0.0)
        place.received(Relayed(B, 0, 1, None), 0.0)
        assert [relay.number for relay in relays(place.received(PeerJoined(B), 0.0))] == [2, 3]

    def test_that_left_is_forgotten_with_all_that_was_for_it(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        assert place.received(PeerLeft(B), 0.0) == [*FORGOTTEN, PeerGone()]
        assert place.peer == ""
        assert place.received(PeerJoined(C), 0.0) == [PeerArrived()]
        assert relays(place.send(candidate(2), 0.0)) == [Relay(C, 1, 0, candidate(2), epoch=2)]

    def test_that_is_somebody_new_means_that_the_old_one_is_gone(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.received(Relayed(B, 1, 0, candidate(7)), 0.0)
        outputs = place.received(PeerJoined(C), 0.0)
        assert outputs == [*FORGOTTEN, PeerGone(), PeerArrived()]
        assert heard(place.received(Relayed(C, 1, 0, candidate(8)), 0.0)) == [candidate(8)]

    def test_that_is_somebody_new_after_our_socket_came_back_too(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        closed(place, 1006, "")
        outputs = place.received(Welcome(polite=True, peer=C), 0.0)
        assert outputs == [
            *SETTLED,
            Joined(polite=True, alone=False),
            *FORGOTTEN,
            PeerGone(),
            PeerArrived(),
        ]

    @pytest.mark.parametrize("message", [PeerLeft(C), Relayed(C, 1, 0, candidate(1)), Pong(1)])
    def test_is_not_somebody_else(self, message: PeerLeft | Relayed | Pong) -> None:
        place = present(peer=B)
        assert place.received(message, 0.0) == []
        assert place.peer == B


class TestAlone:
    """While nobody is there, candidates wait a moment for more of them."""

    WAITING = (commands.StartTimer(TOGETHER, TOGETHER_AFTER, only_if_idle=True),)

    def gathering(self) -> Rendezvous:
        """Return a place whose offer went out, and two candidates of which wait."""
        place = present()
        assert relays(place.send(OFFER, 0.0)) == [Relay("", 1, 0, OFFER)]
        for number in (2, 3):
            assert tuple(place.send(candidate(number), 0.0)) == self.WAITING
        return place

    def test_sends_candidates_together_when_they_have_waited(self) -> None:
        place = self.gathering()
        together = Relay("", 2, 0, candidate(2), more=(candidate(3),))
        assert frames(place.due(PlaceTimer.TOGETHER, 0.1)) == [together]
        assert place.due(PlaceTimer.TOGETHER, 0.2) == []
        assert tuple(place.send(candidate(4), 0.3)) == self.WAITING

    @pytest.mark.parametrize("last", [END, OFFER])
    def test_sends_them_at_once_with_the_last_one_or_a_description(self, last: PeerMessage) -> None:
        place = self.gathering()
        assert frames(place.send(last, 0.05)) == [Relay("", 2, 0, candidate(2), more=(candidate(3), last))]

    def test_sends_them_at_once_to_whoever_comes(self) -> None:
        place = self.gathering()
        assert frames(place.received(PeerJoined(B), 0.05)) == [Relay(B, 2, 0, candidate(2), more=(candidate(3),))]
        assert place.due(PlaceTimer.TOGETHER, 0.1) == []

    def test_delays_none_once_somebody_is_there_or_may_come_back(self) -> None:
        place = self.gathering()
        place.received(PeerJoined(B), 0.05)
        assert [relay.number for relay in relays(place.send(candidate(4), 0.06))] == [4]
        place.received(PeerLeft(B, lost=True), 1.0)
        assert [relay.number for relay in relays(place.send(candidate(5), 1.0))] == [5]

    def test_loses_none_with_its_socket(self) -> None:
        place = self.gathering()
        closed(place, 1006, "")
        assert place.due(PlaceTimer.TOGETHER, 0.1) == []
        place.open()
        assert frames(opened(place, 0.3)) == []
        more = (candidate(2), candidate(3))
        assert frames(place.received(Welcome(polite=False, peer=""), 0.4)) == [Relay("", 1, 0, OFFER, more=more)]

    def test_takes_none_into_a_new_epoch(self) -> None:
        place = self.gathering()
        place.renew()
        assert place.due(PlaceTimer.TOGETHER, 0.1) == []
        assert frames(place.send(OFFER, 0.2)) == [Relay("", 1, 0, OFFER, epoch=2)]

    def test_stops_waiting_at_the_end(self) -> None:
        place = self.gathering()
        assert commands.CancelTimer(TOGETHER) in place.leave()


class TestWhatItSays:
    def test_is_heard_in_order_and_once_and_acknowledged_later(self) -> None:
        place = present(peer=B)
        timer = commands.StartTimer(ACKNOWLEDGE, ACKNOWLEDGE_AFTER)
        calm = commands.CancelTimer(LATE)
        assert place.received(Relayed(B, 2, 0, candidate(2)), 0.0) == [calm, timer]
        assert place.received(Relayed(B, 1, 0, candidate(1)), 0.0) == [
            calm,
            timer,
            PeerSaid(candidate(1)),
            PeerSaid(candidate(2)),
        ]
        assert place.received(Relayed(B, 1, 0, candidate(1)), 0.0) == [calm, timer]
        assert place.acknowledge() == [commands.SendSignaling(Relay(B, 0, 2, None, peer_epoch=1))]

    def test_together_is_heard_with_the_candidates_of_an_offer_before_it(self) -> None:
        """The offer then finds them there. One without a generation belongs to the description before it."""
        place = present(peer=B)
        offer = Description("offer", "v=0", 1)
        bare, first, second = (replace(candidate(n), username_fragment=of) for n, of in ((1, None), (2, "r"), (3, "r")))
        outputs = place.received(Relayed(B, 1, 0, offer, more=(bare, first, second)), 0.0)
        assert heard(outputs) == [first, second, offer, bare]

    def test_is_acknowledged_by_what_we_say(self) -> None:
        place = present(peer=B)
        place.received(Relayed(B, 1, 0, candidate(1)), 0.0)
        assert relays(place.send(candidate(2), 0.0)) == [Relay(B, 1, 1, candidate(2), peer_epoch=1)]

    def test_is_not_acknowledged_to_nobody(self) -> None:
        assert present().acknowledge() == []
        place = present(peer=B)
        closed(place, 1006, "")
        assert place.acknowledge() == []

    def test_is_a_bare_acknowledgement_that_nobody_acknowledges(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        assert place.received(Relayed(B, 0, 1, None), 0.0) == [commands.CancelTimer(LATE)]
        assert relays(place.received(PeerJoined(B), 0.0)) == []

    def test_that_nobody_acknowledges_makes_us_ask_whether_our_socket_still_sends(self) -> None:
        place = present(peer=B)
        expected = ACKNOWLEDGE_AFTER + FIRST_PATIENCE
        assert place.send(candidate(1), 0.0)[-1] == commands.StartTimer(LATE, expected, only_if_idle=True)
        assert place.late() == [commands.SendSignaling(Ping(0)), commands.StartTimer(PING, FIRST_PATIENCE)]
        assert commands.OpenSignaling(ANY) in place.link.check()

    def test_that_nobody_acknowledges_costs_nothing_more_if_our_socket_does_send(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.late()
        assert place.received(Pong(0), 0.1) == [commands.StartTimer(PING, PING_EVERY)]
        assert commands.OpenSignaling(ANY) not in place.link.check()

    def test_that_was_acknowledged_is_not_late(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.received(Relayed(B, 0, 1, None), 0.0)
        assert place.late() == []


class TestASocketThatClosed:
    def test_forgets_neither_the_other_side_nor_what_is_for_it(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        closed(place, 1006, "")
        assert place.peer == B
        assert place.send(candidate(2), 0.0) == []
        outputs = place.received(Welcome(polite=False, peer=B), 0.0)
        assert Joined(polite=False, alone=False) in outputs
        assert PeerArrived() not in outputs
        assert [relay.number for relay in relays(outputs)] == [1, 2]

    def test_because_the_server_restarted_does_not_make_us_alone(self) -> None:
        place = present(peer=B)
        closed(place, 1012, "")
        outputs = place.received(Welcome(polite=False, peer="", server=C, hold=45.0), 0.0)
        assert Joined(polite=False, alone=False) in outputs
        assert outputs[-1] == commands.StartTimer(AWAITED, 45.0, only_if_idle=True)
        assert place.received(PeerJoined(B), 0.0) == [commands.CancelTimer(AWAITED)]

    def test_because_the_server_restarted_waits_for_the_other_side_only_so_long(self) -> None:
        place = present(peer=B)
        place.received(Welcome(polite=False, peer="", server=C), 0.0)
        assert place.awaited() == [PeerAway()]

    def test_shows_at_the_same_server_that_the_other_side_left_meanwhile(self) -> None:
        place = rendezvous()
        place.received(Welcome(polite=False, peer=B, server=C), 0.0)
        closed(place, 1006, "")
        assert place.received(Welcome(polite=False, peer="", server=C), 0.0)[-1] == PeerAway()
        assert place.peer_is_away

    def test_while_we_were_alone_costs_the_one_who_came_meanwhile_nothing(self) -> None:
        place = present()
        place.send(candidate(1), 0.0)
        closed(place, 1012, "")
        outputs = place.received(Welcome(polite=True, peer=B), 0.0)
        assert PeerArrived() in outputs
        assert relays(outputs) == [Relay(B, 1, 0, candidate(1))]


class TestANewSocketBesideTheOld:
    def test_is_opened_without_giving_up_the_one_that_may_be_alive(self) -> None:
        place = present(peer=B)
        assert commands.OpenSignaling(ANY) in place.link.reopen()
        assert place.state == "present"
        assert relays(place.send(candidate(1), 0.0)) == [Relay(B, 1, 0, candidate(1))]

    def test_repeats_what_was_said_on_the_old_one(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.link.reopen()
        place.send(candidate(2), 0.0)
        assert [relay.number for relay in relays(opened(place, 1.0))] == [1, 2]
        assert [relay.number for relay in relays(place.send(candidate(3), 1.0))] == [3]
        assert relays(place.received(Welcome(polite=False, peer=B), 1.1)) == []

    def test_repeats_it_once_more_if_the_server_had_nobody_to_pass_it_on_to(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        opened(place, 1.0)
        assert [relay.number for relay in relays(place.received(Welcome(polite=False, peer=""), 1.1))] == [1]

    def test_that_is_refused_says_nothing_against_the_old_one_which_is_asked(self) -> None:
        place = present(peer=B)
        old = place.link.socket
        place.link.reopen()
        outputs = closed(place, 1006, "")
        assert (place.state, place.link.socket, place.link.opening) == ("present", old, 0)
        assert outputs[1] == commands.SendSignaling(Ping(0))
        assert not any(output.timer == RETRY for output in outputs if isinstance(output, commands.StartTimer))
        assert relays(place.send(candidate(1), 1.0)) == [Relay(B, 1, 0, candidate(1))]
        assert place.received(Pong(0), 1.1) == [commands.StartTimer(PING, PING_EVERY)]
        assert commands.OpenSignaling(ANY) not in place.link.check()

    def test_goes_on_when_the_old_one_closes_meanwhile(self) -> None:
        place = present(peer=B)
        place.link.reopen()
        assert place.link.closed(place.link.socket, 1006, "") == [commands.CancelTimer(PING)]
        assert place.state == "opening"
        assert commands.SendSignaling(Join("demo", A, A, "token", polite=False, socket=2)) in opened(place, 1.0)


class TestBeginningAnew:
    def test_keeps_the_peer_and_tells_it_by_the_epoch(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        assert place.renew() == [*FORGOTTEN, PeerGone(), PeerArrived()]
        assert relays(place.send(candidate(2), 0.0)) == [Relay(B, 1, 0, candidate(2), epoch=2)]

    def test_is_heard_of_by_the_other_side_once(self) -> None:
        place = present(peer=B)
        place.received(Relayed(B, 1, 0, candidate(1), epoch=1, peer_epoch=1), 0.0)
        outputs = place.received(Relayed(B, 1, 0, candidate(2), epoch=2, peer_epoch=0), 0.0)
        assert [type(output) for output in outputs if not isinstance(output, commands.Command)] == [
            PeerGone,
            PeerArrived,
            PeerSaid,
        ]
        outputs = place.received(Relayed(B, 2, 0, candidate(3), epoch=2, peer_epoch=2), 0.0)
        assert heard(outputs) == [candidate(3)]
        assert PeerGone() not in outputs

    def test_without_a_peer_waits_for_whoever_comes(self) -> None:
        place = present()
        assert place.renew() == [*FORGOTTEN, PeerGone()]

    def test_is_not_the_end_when_the_server_only_lost_the_other_side(self) -> None:
        place = present(peer=B)
        assert place.received(PeerLeft(B, lost=True), 0.0) == [PeerAway()]
        assert (place.peer, place.peer_is_away) == (B, True)
        place.received(PeerJoined(B), 0.0)
        assert not place.peer_is_away


class TestRefusals:
    @pytest.mark.parametrize("code", sorted(FATAL_CODES))
    def test_that_are_final(self, code: str) -> None:
        assert rendezvous().received(Error(code, "no"), 0.0) == [
            *(commands.CancelTimer(name) for name in TIMERS),
            commands.CloseSignaling(),
            Refused(code, "no", fatal=True),
        ]

    def test_that_are_final_leave_the_place_to_whoever_has_it(self) -> None:
        place = present(peer=B)
        place.link.reopen()
        place.send(candidate(1), 0.0)
        place.received(Error("replaced", "This tab joined with a newer page."), 1.0)
        assert place.state == "refused"
        assert not place.link.opening
        later = [
            *(
                place.open(),
                place.link.reopen(),
                place.link.check(),
                place.late(),
                place.link.doubt(2.0),
                place.link.reassured(),
            ),
            *(opened(place, 2.0), place.adopt(9, 2.0), place.received(Welcome(polite=False, peer=B), 2.0)),
            *(closed(place, 1008, ""), place.send(candidate(2), 2.0), place.send_again(2.0), place.acknowledge()),
        ]
        assert later == [[]] * len(later)

    @pytest.mark.parametrize("code", ["limit", "malformed", "unavailable", "new-in-2030"])
    def test_that_are_not(self, code: str) -> None:
        assert rendezvous().received(Error(code, "no"), 0.0) == [
            commands.StartTimer(SEND_AGAIN, SEND_AGAIN_AFTER),
            Refused(code, "no", fatal=False),
        ]

    def test_of_a_frame_over_a_limit_are_not_the_end_of_the_numbers(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        outputs = place.received(Error("limit", "At most 50 messages a second.", "messages-per-second"), 0.0)
        assert commands.StartTimer(SEND_AGAIN, SEND_AGAIN_AFTER) in outputs
        assert relays(place.send_again(1.0)) == [Relay(B, 1, 0, candidate(1))]


class TestTheGoodbyeOfThePeer:
    def test_may_be_lost_with_a_socket_and_come_with_the_next_welcome(self) -> None:
        place = present(peer=B)
        place.link.reopen()
        opened(place, 1.0)
        outputs = place.received(Welcome(polite=False, peer="", left=B), 1.1)
        assert outputs[-1] == PeerGone()
        assert not place.peer

    def test_is_not_that_of_somebody_before_it(self) -> None:
        place = present(peer=B)
        place.link.reopen()
        opened(place, 1.0)
        place.received(Welcome(polite=False, peer="", left=C), 1.1)
        assert place.peer == B


class TestLeaving:
    def test_says_goodbye_and_stops_every_timer(self) -> None:
        assert present().leave() == [
            commands.SendSignaling(Leave()),
            *(commands.CancelTimer(name) for name in TIMERS),
            commands.CloseSignaling(),
        ]

    def test_says_nothing_on_a_socket_that_is_not_there(self) -> None:
        place = present()
        closed(place, 1006, "")
        assert commands.SendSignaling(Leave()) not in place.leave()

    def test_says_goodbye_behind_a_join_in_flight(self) -> None:
        place = rendezvous()
        place.opened(1, 0.0)
        assert place.leave()[0] == commands.SendSignaling(Leave())

    def test_says_goodbye_over_http_while_the_socket_is_replaced(self) -> None:
        place = present()
        place.link.reopen()
        assert place.leave()[:2] == [commands.SendSignaling(Leave()), commands.GiveUpPlace(place.held)]
        place = present()
        place.link.reopen()
        place.opened(place.link.opening, 1.0)
        assert place.leave()[:2] == [commands.SendSignaling(Leave()), commands.GiveUpPlace(place.held)]

    def test_says_goodbye_over_http_without_a_socket_and_while_the_server_owes_an_answer(self) -> None:
        place = present()
        closed(place, 1006, "")
        assert place.leave()[0] == commands.GiveUpPlace(place.held)
        place = present()
        place.link.doubt(1.0)
        assert commands.GiveUpPlace(place.held) in place.leave()

    def test_leaves_a_place_alone_that_it_never_had_or_has_no_more(self) -> None:
        assert not [output for output in rendezvous().leave() if isinstance(output, commands.GiveUpPlace)]
        place = present()
        place.received(Error("replaced", "This tab joined with a newer page."), 1.0)
        assert not [output for output in place.leave() if isinstance(output, commands.GiveUpPlace)]

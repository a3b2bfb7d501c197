"""Sessions and their places: who gets in, who gets what."""

from dataclasses import replace as replaced

import pytest
from msgspec.structs import replace

from backend.access.limits import Limits
from backend.signaling.frames import RelayedFrame, RelayFrame, Sent, carried
from backend.signaling.rooms import MOST_PASSED, Close, Departed, Output, Rooms, Send
from pyapp.protocol.peer import Candidate
from pyapp.protocol.signaling import Error, HeldPlace, Join, PeerJoined, PeerLeft, Relay, Welcome

A, B, C = "a" * 32, "b" * 32, "c" * 32
HOLD = 30.0
SIZE = 100


def join_as(participant: str, *, session: str = "demo", key: str = "", socket: int = 1) -> Join:
    return Join(session, participant, key or participant, socket=socket)


def candidate(number: int) -> Candidate:
    return Candidate(f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host", "0", 0, None)


def frame(number: int, to: str = "") -> RelayFrame:
    return carried(Relay(to, number, 0, candidate(number)))


def relayed(sender: str, number: int) -> RelayedFrame:
    return frame(number).passed_on(sender)


def sent(outputs: list[Output], socket: int) -> list[Sent]:
    return [output.message for output in outputs if isinstance(output, Send) and output.socket == socket]


def apart(messages: list[Sent]) -> list[Sent]:
    """Return the messages with one body in each frame."""
    result: list[Sent] = []
    for message in messages:
        if isinstance(message, RelayedFrame):
            bodies = enumerate((message.body, *message.more), message.number)
            result += [replace(message, number=number, body=body, more=()) for number, body in bodies]
        else:
            result.append(message)
    return result


def said(outputs: list[Output]) -> list[Output]:
    return [output for output in outputs if not isinstance(output, Departed)]


def error_code(outputs: list[Output], socket: int) -> str:
    [message] = sent(outputs, socket)
    assert isinstance(message, Error)
    return message.code


class World:
    """Rooms in which A sits on socket 1 and B on socket 2."""

    def __init__(self, *, limits: Limits | None = None, with_b: bool = True) -> None:
        self.rooms = Rooms(HOLD, limits or Limits())
        self.join(1, A)
        if with_b:
            self.join(2, B)

    def join(
        self, socket: int, participant: str, *, session: str = "demo", key: str = "", address: str = "x"
    ) -> list[Output]:
        return self.rooms.join(socket, join_as(participant, session=session, key=key), address=address)

    def relay(self, socket: int, number: int, to: str = "") -> list[Output]:
        return self.rooms.relay(socket, frame(number, to), size=SIZE)


def test_the_latest_socket_has_the_place_though_an_older_one_comes_in_last() -> None:
    world = World()
    assert isinstance(sent(world.rooms.join(3, join_as(B, socket=3), address="x"), 3)[0], Welcome)
    outputs = world.rooms.join(4, join_as(B, socket=2), address="x")
    assert error_code(outputs, 4) == "superseded"
    assert Close(4) in outputs
    assert world.rooms.is_joined(3)


class TestANewerSocket:
    """The older one may have been dead for a while: what was sent on it may never have come."""

    def test_is_sent_again_what_is_not_acknowledged(self) -> None:
        world = World()
        for number in (1, 2, 3):
            world.relay(1, number)
        world.rooms.relay(2, replace(frame(1), ack=1, peer_epoch=1), size=SIZE)
        outputs = world.rooms.join(3, join_as(B, socket=3), address="x")
        assert sent(outputs, 3) == [Welcome(polite=True, peer=A), relayed(A, 2), relayed(A, 3)]
        world.rooms.relay(3, replace(frame(2), ack=3, peer_epoch=1), size=SIZE)
        assert sent(world.rooms.join(4, join_as(B, socket=4), address="x"), 4) == [Welcome(polite=True, peer=A)]

    def test_is_not_sent_what_its_sender_would_say_differently_now(self) -> None:
        for later in (replace(frame(2), peer_epoch=1), replace(frame(2), epoch=2)):
            world = World()
            world.relay(1, 1)
            world.rooms.relay(1, later, size=SIZE)
            [_, *again] = sent(world.rooms.join(3, join_as(B, socket=3), address="x"), 3)
            assert [frame.number for frame in again if isinstance(frame, RelayedFrame)] == [2]

    def test_is_not_sent_what_was_meant_for_an_epoch_that_is_over(self) -> None:
        for later in (replace(frame(1), epoch=2), replace(frame(1), peer_epoch=2)):
            world = World()
            world.rooms.relay(1, replace(frame(1), peer_epoch=1), size=SIZE)
            world.rooms.relay(2, later, size=SIZE)
            assert len(sent(world.rooms.join(3, join_as(B, socket=3), address="x"), 3)) == 1

    def test_is_not_sent_what_only_acknowledged(self) -> None:
        world = World()
        world.rooms.relay(1, carried(Relay("", 0, 0, None)), size=SIZE)
        assert len(sent(world.rooms.join(3, join_as(B, socket=3), address="x"), 3)) == 1

    def test_is_sent_it_before_what_was_kept_while_there_was_none(self) -> None:
        world = World()
        world.relay(1, 1)
        world.rooms.lose(2, now=0.0)
        for number in range(2, 2 * MOST_PASSED):
            world.relay(1, number)
        outputs = world.rooms.join(3, join_as(B, socket=3), address="x")
        assert apart(sent(outputs, 3)[1:]) == [relayed(A, number) for number in range(1, 2 * MOST_PASSED)]

    def test_of_somebody_else_is_sent_none_of_it(self) -> None:
        world = World()
        world.relay(1, 1)
        world.rooms.leave(2)
        assert sent(world.join(3, C), 3) == [Welcome(polite=True, peer=A)]

    def test_is_sent_nothing_of_who_is_gone(self) -> None:
        world = World()
        world.relay(1, 1)
        world.rooms.leave(1)
        assert sent(world.rooms.join(3, join_as(B, socket=3), address="x"), 3) == [
            Welcome(polite=True, peer="", left=A)
        ]


def test_a_reloaded_tab_takes_its_own_place_though_the_goodbye_was_lost() -> None:
    world = World()
    world.rooms.lose(2, now=0.0)
    outputs = world.join(3, C, key=B)
    assert sent(outputs, 1) == [PeerLeft(B), PeerJoined(C)]
    assert sent(outputs, 3) == [Welcome(polite=True, peer=A)]


def test_a_reloaded_tab_whose_old_socket_seems_alive_takes_its_own_place_too() -> None:
    world = World()
    outputs = world.join(3, C, key=B)
    assert error_code(outputs, 2) == "replaced"
    assert Close(2) in outputs
    assert sent(outputs, 3) == [Welcome(polite=True, peer=A)]


def test_a_duplicated_tab_gets_the_other_place_while_it_is_free() -> None:
    world = World(with_b=False)
    assert sent(world.join(2, C, key=A), 2) == [Welcome(polite=True, peer=A)]


def test_the_first_is_impolite_and_the_second_polite() -> None:
    rooms = Rooms(HOLD)
    assert rooms.join(1, join_as(A), address="x") == [Send(1, Welcome(polite=False, peer=""))]
    assert rooms.join(2, join_as(B), address="x") == [Send(2, Welcome(polite=True, peer=A)), Send(1, PeerJoined(B))]


def test_a_third_hears_that_the_session_is_full() -> None:
    world = World()
    outputs = world.join(3, C)
    assert error_code(outputs, 3) == "session-full"
    assert outputs[-1] == Close(3)
    assert not world.rooms.is_joined(3)
    assert sent(outputs, 1) == sent(outputs, 2) == []


def test_frames_go_across_in_order_and_to_nobody_else() -> None:
    world = World()
    world.join(3, C, session="other")
    for number in range(1, 6):
        assert world.relay(1, number) == [Send(2, relayed(A, number))]
    assert world.relay(2, 1, to=A) == [Send(1, relayed(B, 1))]


def test_a_frame_for_somebody_who_is_gone_is_dropped() -> None:
    world = World()
    assert world.relay(1, 1, to=C) == []
    world.rooms.leave(2)
    assert world.relay(1, 2, to=B) == []
    assert sent(world.join(3, C), 3) == [Welcome(polite=True, peer=A)]


def test_what_is_sent_before_the_other_comes_is_kept() -> None:
    world = World(with_b=False)
    for number in (1, 2, 3):
        assert world.relay(1, number) == []
    outputs = world.join(2, B)
    assert apart(sent(outputs, 2)) == [Welcome(polite=True, peer=A), *(relayed(A, number) for number in (1, 2, 3))]
    assert world.relay(1, 4) == [Send(2, relayed(A, 4))]


def test_what_is_sent_while_the_other_is_away_is_kept_for_it() -> None:
    world = World()
    assert world.rooms.lose(2, now=0.0) == []
    world.relay(1, 1, to=B)
    world.relay(1, 2)
    outputs = world.join(3, B)
    assert apart(sent(outputs, 3)) == [Welcome(polite=True, peer=A), relayed(A, 1), relayed(A, 2)]
    assert sent(outputs, 1) == [PeerJoined(B)]


def test_what_was_kept_shares_a_frame() -> None:
    world = World(with_b=False)
    for number in (1, 2, 3):
        world.relay(1, number)
    world.rooms.relay(1, replace(frame(1), epoch=2), size=SIZE)
    together, other = sent(world.join(2, B), 2)[1:]
    assert together == carried(Relay("", 1, 0, candidate(1), more=(candidate(2), candidate(3)))).passed_on(A)
    assert other == replace(relayed(A, 1), epoch=2)


def test_a_newcomer_does_not_get_what_was_kept_for_the_one_before() -> None:
    world = World()
    world.rooms.lose(2, now=0.0)
    world.relay(1, 1, to=B)
    world.relay(1, 2)
    assert said(world.rooms.expire(now=HOLD)) == [Send(1, PeerLeft(B, lost=True))]
    world.relay(1, 3)
    assert sent(world.join(3, C), 3) == [Welcome(polite=True, peer=A), relayed(A, 3)]


def test_a_newcomer_does_not_get_what_somebody_sent_who_has_left() -> None:
    world = World(with_b=False)
    world.relay(1, 1)
    world.join(2, B)
    world.rooms.lose(2, now=0.0)
    world.relay(1, 2)
    world.rooms.leave(1)
    assert sent(world.join(3, B), 3) == [Welcome(polite=True, peer="", left=A)]


def test_a_lost_place_is_held_and_then_free() -> None:
    world = World()
    world.rooms.lose(2, now=100.0)
    assert world.rooms.next_expiry() == 100.0 + HOLD
    assert error_code(world.join(3, C), 3) == "place-held"
    assert said(world.rooms.expire(now=100.0 + HOLD - 0.001)) == []
    assert said(world.rooms.expire(now=100.0 + HOLD)) == [Send(1, PeerLeft(B, lost=True))]
    assert world.rooms.next_expiry() is None
    assert sent(world.join(4, C), 4) == [Welcome(polite=True, peer=A)]


def test_leaving_frees_the_place_at_once() -> None:
    world = World()
    assert said(world.rooms.leave(2)) == [Send(1, PeerLeft(B))]
    assert not world.rooms.is_joined(2)
    assert sent(world.join(3, C), 3) == [Welcome(polite=True, peer=A)]


def test_a_goodbye_that_was_lost_with_a_socket_is_said_with_the_next_welcome() -> None:
    world = World()
    world.rooms.leave(2)
    welcome = Welcome(polite=False, peer="", left=B)
    assert sent(world.rooms.join(3, join_as(A, socket=3), address="x"), 3) == [welcome]
    world.join(4, C)
    assert sent(world.rooms.join(5, join_as(A, socket=5), address="x"), 5) == [replaced(welcome, peer=C, left="")]
    world.rooms.lose(4, now=0.0)
    world.rooms.expire(now=HOLD)
    assert sent(world.rooms.join(6, join_as(A, socket=6), address="x"), 6) == [welcome], "C was lost"


def test_a_place_is_given_up_by_its_key_whatever_became_of_its_socket() -> None:
    world = World()
    claim = HeldPlace("demo", B, B)
    assert world.rooms.give_up(HeldPlace("demo", B, A)) == []
    assert world.rooms.give_up(claim) == [Close(2), Departed("demo", B, "left"), Send(1, PeerLeft(B))]
    assert not world.rooms.is_joined(2)
    assert world.rooms.give_up(claim) == []
    world.rooms.lose(1, now=0.0)
    assert world.rooms.give_up(HeldPlace("demo", A, A)) == [Departed("demo", A, "left")]
    assert world.rooms.next_expiry() is None
    assert "demo" not in world.rooms


def test_roles_stay_with_the_places() -> None:
    world = World()
    world.rooms.leave(1)
    assert sent(world.join(3, C), 3) == [Welcome(polite=False, peer=B)]
    assert sent(world.join(4, B), 4) == [Welcome(polite=True, peer=C)]


def test_the_same_page_on_a_newer_socket_supersedes_the_older_one() -> None:
    world = World()
    outputs = world.join(3, B)
    assert error_code(outputs, 2) == "superseded"
    assert Close(2) in outputs
    assert sent(outputs, 3) == [Welcome(polite=True, peer=A)]
    assert sent(outputs, 1) == [PeerJoined(B)]
    assert world.rooms.lose(2, now=0.0) == world.rooms.leave(2) == []
    assert world.relay(1, 1) == [Send(3, relayed(A, 1))]


def test_nobody_takes_a_place_with_another_key() -> None:
    world = World()
    outputs = world.join(3, B, key=C)
    assert error_code(outputs, 3) == "not-joined"
    assert outputs[-1] == Close(3)
    assert world.relay(1, 1) == [Send(2, relayed(A, 1))]


def test_one_participant_in_two_sessions_is_two_places() -> None:
    world = World()
    assert sent(world.join(3, A, session="other"), 3) == [Welcome(polite=False, peer="")]
    assert world.relay(2, 1) == [Send(1, relayed(B, 1))]


def test_a_session_ends_with_its_last_place() -> None:
    world = World()
    world.rooms.leave(1)
    world.rooms.lose(2, now=0.0)
    assert "demo" in world.rooms
    assert said(world.rooms.expire(now=HOLD)) == []
    assert "demo" not in world.rooms
    assert sent(world.join(3, C), 3) == [Welcome(polite=False, peer="")]


def test_both_lost_and_both_back() -> None:
    world = World()
    world.rooms.lose(1, now=0.0)
    world.rooms.lose(2, now=1.0)
    assert world.rooms.next_expiry() == HOLD
    assert world.join(3, B) == [Send(3, Welcome(polite=True, peer=A))]
    assert world.join(4, A) == [Send(4, Welcome(polite=False, peer=B)), Send(3, PeerJoined(A))]
    assert world.rooms.next_expiry() is None


@pytest.mark.parametrize(
    ("limits", "limit"),
    [(Limits(kept_frames=2), "kept-frames"), (Limits(kept_bytes=2 * SIZE + 1), "kept-bytes")],
)
def test_what_is_kept_is_bounded(limits: Limits, limit: str) -> None:
    world = World(limits=limits, with_b=False)
    assert world.relay(1, 1) == world.relay(1, 2) == []
    [error] = sent(world.relay(1, 3), 1)
    assert isinstance(error, Error)
    assert (error.code, error.limit) == ("limit", limit)
    assert apart(sent(world.join(2, B), 2)[1:]) == [relayed(A, 1), relayed(A, 2)]


def test_sessions_of_one_address_are_limited() -> None:
    world = World(limits=Limits(sessions_per_address=2))
    world.join(3, C, session="second")
    outputs = world.join(4, C, session="third")
    [error] = sent(outputs, 4)
    assert isinstance(error, Error)
    assert (error.code, error.limit) == ("limit", "sessions-per-address")
    assert outputs[-1] == Close(4)
    assert "third" not in world.rooms
    assert sent(world.join(5, B, session="second"), 5)
    assert sent(world.join(6, C, session="third", address="y"), 6) == [Welcome(polite=False, peer="")]


def test_a_reload_that_is_refused_at_a_limit_changes_nothing() -> None:
    world = World(limits=Limits(sessions_per_address=1))
    world.join(3, C, session="other", address="y")
    outputs = world.join(4, "d" * 32, key=B, address="y")
    [error] = sent(outputs, 4)
    assert isinstance(error, Error)
    assert (error.limit, outputs[-1]) == ("sessions-per-address", Close(4))
    assert sent(outputs, 1) == sent(outputs, 2) == []
    assert world.relay(2, 1) == [Send(1, relayed(B, 1))]
    assert world.relay(1, 1) == [Send(2, relayed(A, 1))]


def test_a_reload_at_the_limit_takes_its_own_place() -> None:
    world = World(limits=Limits(sessions_per_address=1))
    outputs = world.join(3, C, key=B)
    assert (error_code(outputs, 2), Close(2) in outputs) == ("replaced", True)
    assert sent(outputs, 3) == [Welcome(polite=True, peer=A)]


class TestWhatIsKept:
    def test_is_kept_once_however_often_it_is_sent(self) -> None:
        world = World(limits=Limits(kept_frames=4), with_b=False)
        for socket in range(10, 40):  # a flaky network: each new socket sends all that is not acknowledged
            world.rooms.join(socket, join_as(A, socket=socket), address="x")
            for number in (1, 2, 3):
                assert world.relay(socket, number) == []
            assert world.rooms.relay(socket, carried(Relay("", 0, 0, None)), size=SIZE) == []
        assert apart(sent(world.join(2, B), 2))[1:4] == [relayed(A, number) for number in (1, 2, 3)]

    def test_may_be_replaced_at_the_limit(self) -> None:
        world = World(limits=Limits(kept_bytes=3 * SIZE), with_b=False)
        for number in (1, 2, 3, 1, 2, 3):
            assert world.relay(1, number) == []
        assert len(world.relay(1, 4)) == 1
        sent(world.join(2, B), 2)
        world.rooms.lose(2, now=0.0)
        for number in (5, 6, 7):
            assert world.relay(1, number) == []

    def test_is_not_kept_beside_a_frame_that_carries_it(self) -> None:
        world = World(with_b=False)
        for number in (1, 2, 3):
            world.relay(1, number)
        together = carried(Relay("", 1, 0, candidate(1), more=(candidate(2), candidate(3))))
        world.rooms.relay(1, together, size=3 * SIZE)
        world.relay(1, 4)
        assert apart(sent(world.join(2, B), 2)[1:]) == [relayed(A, number) for number in (1, 2, 3, 4)]

    def test_of_frames_together_is_resent_until_the_last_is_acknowledged(self) -> None:
        world = World()
        together = carried(Relay("", 1, 0, candidate(1), more=(candidate(2),)))
        world.rooms.relay(1, together, size=SIZE)
        for ack, again in ((1, [together.passed_on(A)]), (2, [])):
            world.rooms.relay(2, replace(frame(1), ack=ack, peer_epoch=1), size=SIZE)
            socket = 10 + ack
            assert sent(world.rooms.join(socket, join_as(B, socket=socket), address="x"), socket)[1:] == again
            world.rooms.join(2, join_as(B, socket=socket), address="x")


def test_sessions_of_an_address_are_forgotten_with_their_places() -> None:
    world = World(limits=Limits(sessions_per_address=1))
    for _ in range(3):
        world.rooms.leave(1)
        world.rooms.lose(2, now=0.0)
        world.rooms.expire(now=HOLD)
        assert sent(world.join(1, A, session="other"), 1) == [Welcome(polite=False, peer="")]
        world.rooms.leave(1)
        world.join(1, A)
        world.join(2, B)


def test_places_expire_in_the_order_in_which_they_were_lost() -> None:
    world = World()
    world.join(3, C, session="other")
    for socket, now in ((3, 0.0), (2, 1.0), (1, 2.0)):
        world.rooms.lose(socket, now=now)
    world.join(4, C, session="other")
    assert world.rooms.next_expiry() == 1.0 + HOLD
    world.rooms.lose(4, now=3.0)
    assert said(world.rooms.expire(now=2.0 + HOLD)) == []
    assert "demo" not in world.rooms
    assert world.rooms.next_expiry() == 3.0 + HOLD


def test_whoever_came_in_with_a_revoked_invitation_is_shown_the_door() -> None:
    world = World(with_b=False)
    world.rooms.join(2, join_as(B), address="x", invitation="i1")
    world.rooms.join(3, join_as(C, session="other"), address="x", invitation="i1")
    world.rooms.lose(3, now=0.0)
    assert world.rooms.has("demo", "i1")
    assert world.rooms.invitation_of(HeldPlace("demo", B, B)) == "i1"
    assert world.rooms.invitation_of(HeldPlace("demo", B, A)) == ""
    outputs = world.rooms.revoke({"i1", "i2"})
    assert (error_code(outputs, 2), Close(2) in outputs) == ("invitation-revoked", True)
    assert sent(outputs, 1) == [PeerLeft(B)]
    assert [output for output in outputs if isinstance(output, Departed)] == [
        Departed("demo", B, "revoked", "i1"),
        Departed("other", C, "revoked", "i1"),
    ]
    assert "other" not in world.rooms
    assert not world.rooms.has("demo", "i1")
    assert not world.rooms.has("other", "i1")
    assert world.rooms.has("demo", "")
    assert not world.rooms.knows(join_as(B))
    assert world.rooms.next_expiry() is None
    assert world.rooms.revoke({"i1"}) == []


def test_it_is_told_how_somebody_departed() -> None:
    world = World()
    assert Departed("demo", B, "left") in world.rooms.leave(2)
    world.rooms.lose(1, now=0.0)
    assert world.rooms.expire(now=HOLD) == [Departed("demo", A, "lost")]
    world.join(1, A)
    world.join(2, B)
    assert Departed("demo", B, "replaced") in world.join(3, C, key=B)


def test_keys_are_not_in_the_repr_of_a_place() -> None:
    world = World()
    world.join(3, C, session="other", key="d" * 32)
    assert "d" * 32 not in repr(world.rooms)
    assert "d" * 32 not in repr(world.rooms._joined)


def test_a_server_that_was_restarted_gives_the_roles_that_it_is_told_of() -> None:
    rooms = Rooms(HOLD)
    polite = Join("demo", B, B, polite=True)
    impolite = Join("demo", A, A, polite=False)
    assert rooms.join(1, polite, address="x") == [Send(1, Welcome(polite=True, peer=""))]
    assert sent(rooms.join(2, impolite, address="x"), 2) == [Welcome(polite=False, peer=B)]


def test_a_role_that_is_taken_gives_way_to_the_one_that_is_free() -> None:
    rooms = Rooms(HOLD)
    rooms.join(1, join_as(A), address="x")
    assert sent(rooms.join(2, Join("demo", B, B, polite=False), address="x"), 2) == [Welcome(polite=True, peer=A)]

"""Two conversations joined by a wire that loses, doubles and reorders."""

import contextlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyapp.core import commands
from pyapp.core.commands import Command, SendOnChannel
from pyapp.core.conversation import (
    ACKNOWLEDGED_EVERY,
    ASIDE_AGAIN_AFTER,
    ASIDE_FOR,
    TIMER,
    Conversation,
    Message,
    MessageRefusedError,
)
from pyapp.core.events import ChannelLabel
from pyapp.core.failures import TooLong, TooMuchWaiting
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.protocol.channel import (
    MAX_PIECE_BYTES,
    MAX_TEXT_BYTES,
    Frame,
    MediaShared,
    Piece,
    decode_frame,
    encode_frame,
    split,
)
from pyapp.protocol.wire import MessageError
from tests.unit.examples import examples

PEER, ASIDE = PeerId(1), PeerId(2)


def frames(outputs: Iterable[Command], label: ChannelLabel = "messages") -> list[Frame]:
    return [decode_frame(each.text) for each in sent(outputs) if each.label == label]


def sent(outputs: Iterable[Command]) -> list[SendOnChannel]:
    """Return what is sent, on channels of their peers."""
    result = []
    for output in outputs:
        if isinstance(output, commands.OfPeer):
            assert isinstance(output.command, SendOnChannel)
            assert output.peer == (ASIDE if output.command.label == "standby" else PEER)
            result.append(output.command)
    return result


def timer(outputs: list[Command]) -> float | None:
    """Return when the only timer command at the end of `outputs` fires, or None if it cancels."""
    *others, last = outputs
    assert len(sent(others)) == len(others)
    match last:
        case commands.StartTimer(name, after):
            assert name == TIMER
            return after
        case commands.CancelTimer(name):
            assert name == TIMER
            return None
    raise AssertionError(last)


def opened() -> Conversation:
    conversation = Conversation()
    conversation.channel_is(PEER)
    return conversation


def said(conversation: Conversation, *, mine: bool) -> list[str]:
    return [message.text for message in conversation.messages if message.mine == mine]


@dataclass
class Person:
    conversation: Conversation = field(default_factory=opened)
    inbound: list[tuple[float, str, ChannelLabel]] = field(default_factory=list)
    due: float | None = None
    sent: list[str] = field(default_factory=list)


@dataclass
class Line:
    """A channel between two people with a simulated clock; while `bad` it loses, doubles and reorders."""

    choose: random.Random
    a: Person = field(default_factory=Person)
    b: Person = field(default_factory=Person)
    now: float = 0.0
    bad: bool = True
    carried: int = 0

    def did(self, person: Person, outputs: list[Command]) -> None:
        other = self.b if person is self.a else self.a
        for output in outputs:
            match output:
                case commands.OfPeer(_, SendOnChannel(label, text)):
                    self.carried += 1
                    for _ in range(self.choose.choice([0, 0, 1, 1, 1, 2]) if self.bad else 1):
                        other.inbound.append((self.now + (self.choose.random() if self.bad else 0.05), text, label))
                case commands.StartTimer(_, after):
                    person.due = self.now + after
                case commands.CancelTimer():
                    person.due = None

    def say(self, person: Person, text: str) -> None:
        person.sent.append(text)
        self.did(person, person.conversation.submit(text, self.now))

    def tick(self) -> None:
        self.now += 0.05
        for person in (self.a, self.b):
            ready = sorted(entry for entry in person.inbound if entry[0] <= self.now)
            person.inbound = [entry for entry in person.inbound if entry[0] > self.now]
            for _, text, label in ready:
                self.did(person, person.conversation.received(text, self.now, label))
            if person.due is not None and person.due <= self.now:
                person.due = None
                self.did(person, person.conversation.transmit(self.now))

    def rest(self) -> None:
        self.bad = False
        for _ in range(600):
            self.tick()
            if not (self.a.inbound or self.b.inbound or self.a.due or self.b.due):
                return
        raise AssertionError("the two never come to rest")


HAPPENS = ["", "path", "channel", "doubt", "reassured", "hold", "standby", "no-standby"]


@given(st.integers(0, 2**32), st.lists(st.tuples(st.booleans(), st.sampled_from(HAPPENS)), max_size=25))
@examples(100)
def test_two_people_read_what_was_said_once_and_in_order(seed: int, said_by: list[tuple[bool, str]]) -> None:
    line = Line(random.Random(seed))
    for number, (by_a, happens) in enumerate(said_by):
        person = line.a if by_a else line.b
        line.say(person, f"message {number}")
        match happens:
            case "path":
                line.did(person, person.conversation.path_changed(line.now))
            case "channel":
                person.conversation.channel_is(NO_PEER)
                line.tick()
                person.conversation.channel_is(PEER)
                line.did(person, person.conversation.transmit(line.now))
            case "doubt":
                line.did(person, person.conversation.doubt(line.now))
            case "reassured":
                person.conversation.reassured()
            case "hold":
                line.did(person, person.conversation.hold(line.now))
            case "standby" | "no-standby":
                line.did(person, person.conversation.standby_is(ASIDE if happens == "standby" else NO_PEER, line.now))
        for _ in range(line.choose.randrange(6)):
            line.tick()
    for person in (line.a, line.b):
        line.did(person, person.conversation.path_changed(line.now))
    line.rest()
    for one, other in ((line.a, line.b), (line.b, line.a)):
        assert said(one.conversation, mine=True) == one.sent
        assert said(other.conversation, mine=False) == one.sent
        assert all(message.delivered for message in one.conversation.messages if message.mine)
        for mine in (True, False):
            counted = [message.number for message in one.conversation.messages if message.mine == mine]
            assert counted == list(range(1, len(counted) + 1))


def test_on_a_good_line_a_message_costs_two_frames() -> None:
    line = Line(random.Random(0), bad=False)
    line.say(line.a, "hello")
    line.rest()
    assert line.carried == 2


class TestAMessageOfOurs:
    def test_is_sent_and_then_delivered(self) -> None:
        conversation = opened()
        outputs = conversation.submit("hello", 0.0)
        assert frames(outputs) == [Frame(1, Piece("hello"), 0)]
        assert timer(outputs) == 0.5
        assert conversation.messages == [Message(1, mine=True, text="hello")]
        assert timer(conversation.received(encode_frame(Frame(0, None, 1)), 0.1)) is None
        assert conversation.messages == [Message(1, mine=True, text="hello", delivered=True)]
        assert conversation.delivered_count == 1

    def test_is_sent_again_when_the_acknowledgement_is_late(self) -> None:
        conversation = opened()
        conversation.submit("hello", 0.0)
        assert frames(conversation.transmit(0.49)) == []
        outputs = conversation.transmit(0.5)
        assert frames(outputs) == [Frame(1, Piece("hello"), 0)]
        assert timer(outputs) == 1.0

    def test_is_kept_without_a_timer_while_there_is_no_channel(self) -> None:
        conversation = Conversation()
        outputs = conversation.submit("hello", 0.0)
        assert (frames(outputs), timer(outputs)) == ([], None)
        conversation.channel_is(PEER)
        assert frames(conversation.transmit(9.0)) == [Frame(1, Piece("hello"), 0)]

    def test_is_sent_again_at_once_on_a_new_path(self) -> None:
        conversation = opened()
        conversation.submit("hello", 0.0)
        assert frames(conversation.path_changed(0.01)) == [Frame(1, Piece("hello"), 0)]

    def test_that_is_held_behind_a_lost_one_counts_as_delivered(self) -> None:
        conversation = opened()
        conversation.submit("one", 0.0)
        conversation.submit("two", 0.0)
        conversation.received(encode_frame(Frame(0, None, 0, ((2, 2),))), 0.1)
        assert [message.delivered for message in conversation.messages] == [False, True]

    @pytest.mark.parametrize("text", ["x" * (MAX_TEXT_BYTES + 1), "ü" * (MAX_TEXT_BYTES // 2 + 1)])
    def test_that_is_too_long_is_refused_and_not_kept(self, text: str) -> None:
        conversation = opened()
        with pytest.raises(MessageRefusedError) as refused:
            conversation.submit(text, 0.0)
        assert refused.value.why == TooLong(len(text.encode()))
        assert conversation.messages == []
        assert frames(conversation.submit("short", 0.0)) == [Frame(1, Piece("short"), 0)]

    def test_that_is_just_not_too_long_is_taken(self) -> None:
        line = Line(random.Random(0), bad=False)
        line.say(line.a, "x" * MAX_TEXT_BYTES)
        line.rest()
        assert said(line.b.conversation, mine=False) == line.a.sent
        assert line.a.conversation.messages[0].delivered

    def test_that_is_one_too_many_is_refused_and_not_kept(self) -> None:
        conversation = Conversation()
        for _ in range(16):
            conversation.submit("x" * MAX_TEXT_BYTES, 0.0)
        with pytest.raises(MessageRefusedError) as refused:
            conversation.submit("x", 0.0)
        assert refused.value.why == TooMuchWaiting()
        assert len(conversation.messages) == 16

    def test_with_half_a_surrogate_pair_is_sent_or_refused(self) -> None:
        try:
            opened().submit("half \ud83d", 0.0)
        except MessageRefusedError:
            return


class TestAFrameOfTheOtherSide:
    def test_with_a_message_is_acknowledged_at_once(self) -> None:
        conversation = opened()
        outputs = conversation.received(encode_frame(Frame(1, Piece("hello"), 0)), 0.0)
        assert frames(outputs) == [Frame(0, None, 1)]
        assert timer(outputs) is None
        (message,) = conversation.messages
        assert (message.mine, message.text, message.number) == (False, "hello", 1)

    def test_that_came_twice_is_acknowledged_again_and_shown_once(self) -> None:
        conversation = opened()
        for now in (0.0, 0.1):
            assert frames(conversation.received(encode_frame(Frame(1, Piece("hello"), 0)), now)) == [Frame(0, None, 1)]
        assert len(conversation.messages) == 1

    def test_that_came_early_is_named_in_the_acknowledgement(self) -> None:
        conversation = opened()
        assert frames(conversation.received(encode_frame(Frame(2, Piece("two"), 0)), 0.0)) == [
            Frame(0, None, 0, ((2, 2),))
        ]
        assert conversation.messages == []
        assert frames(conversation.received(encode_frame(Frame(1, Piece("one"), 0)), 0.1)) == [Frame(0, None, 2)]
        assert said(conversation, mine=False) == ["one", "two"]

    def test_among_many_at_once_is_acknowledged_with_the_others(self) -> None:
        conversation = opened()
        conversation.received(encode_frame(Frame(1, Piece("one"), 0)), 0.0)
        for number in (2, 3):
            outputs = conversation.received(encode_frame(Frame(number, Piece("more"), 0)), 0.001 * number)
            assert frames(outputs) == []
            assert timer(outputs) == pytest.approx(ACKNOWLEDGED_EVERY)
        outputs = conversation.transmit(ACKNOWLEDGED_EVERY)
        assert frames(outputs) == [Frame(0, None, 3)]
        assert timer(outputs) is None

    def test_without_a_message_is_never_acknowledged(self) -> None:
        assert frames(opened().received(encode_frame(Frame(0, None, 0)), 0.0)) == []

    def test_is_acknowledged_by_a_message_of_ours_if_one_is_due(self) -> None:
        conversation = opened()
        conversation.submit("mine", 0.0)
        outputs = conversation.received(encode_frame(Frame(1, Piece("theirs"), 0)), 5.0)
        assert frames(outputs) == [Frame(1, Piece("mine"), 1)]

    def test_is_not_acknowledged_on_a_channel_that_closed(self) -> None:
        conversation = opened()
        conversation.channel_is(NO_PEER)
        assert frames(conversation.received(encode_frame(Frame(1, Piece("hello"), 0)), 0.0)) == []
        assert said(conversation, mine=False) == ["hello"]

    def test_that_is_none_is_refused_and_changes_nothing(self) -> None:
        conversation = opened()
        conversation.submit("mine", 0.0)
        with pytest.raises(MessageError):
            conversation.received('{"a":1,"n":"x"}', 0.0)
        assert not conversation.messages[0].delivered


class TestALongMessage:
    """It goes in pieces, each of them one packet."""

    TEXT = "0123456789" * 500

    def pieces(self) -> list[str]:
        return [encode_frame(Frame(number, piece, 0)) for number, piece in enumerate(split(self.TEXT), 1)]

    def test_is_shown_once_it_is_whole_and_what_was_said_after_it_then(self) -> None:
        conversation, now = opened(), 0.0
        first, *others = [*self.pieces(), encode_frame(Frame(7, Piece("hello"), 0))]
        for frame in reversed(others):
            conversation.received(frame, now)
            assert conversation.messages == []
        conversation.received(first, now)
        assert said(conversation, mine=False) == [self.TEXT, "hello"]

    def test_is_delivered_once_all_of_it_is(self) -> None:
        conversation = opened()
        assert len(frames(conversation.submit(self.TEXT, 0.0))) == 6
        conversation.received(encode_frame(Frame(0, None, 5)), 0.1)
        assert conversation.delivered_count == 0
        conversation.received(encode_frame(Frame(0, None, 6)), 0.1)
        assert conversation.delivered_count == 1

    def test_is_sent_again_where_it_was_lost(self) -> None:
        conversation = opened()
        conversation.submit(self.TEXT, 0.0)
        outputs = conversation.received(encode_frame(Frame(0, None, 2, ((4, 6),))), 0.1)
        outputs += conversation.transmit(0.2)
        assert [frame.number for frame in frames(outputs)] == [3]

    def test_goes_whole_to_another_partner_of_whom_nothing_was_heard_of_it(self) -> None:
        conversation = opened()
        conversation.submit(self.TEXT, 0.0)
        conversation.received(encode_frame(Frame(0, None, 5)), 0.1)
        conversation.with_partner("new")
        conversation.channel_is(PEER)
        sent = frames(conversation.transmit(1.0))
        assert [frame.body for frame in sent] == split(self.TEXT)
        assert [frame.number for frame in sent] == [1, 2, 3, 4, 5, 6]

    def test_that_never_ends_is_shown_in_parts_and_takes_no_other_with_it(self) -> None:
        conversation = opened()
        piece = Piece("x" * MAX_PIECE_BYTES, more=True)
        most = MAX_TEXT_BYTES // MAX_PIECE_BYTES
        for number in range(2, most + 2):
            conversation.received(encode_frame(Frame(number, piece, 0)), 0.0)
        conversation.received(encode_frame(Frame(most + 2, Piece("last"), 0)), 0.0)
        conversation.received(encode_frame(Frame(1, piece, 0)), 0.0)
        assert "".join(message.text for message in conversation.messages) == (most + 1) * piece.text + "last"
        assert [message.text for message in conversation.messages][-1] == "last"


class TestAChannelThatIsFull:
    """What is sent then waits in the browser, and once more when it is late."""

    def test_is_given_nothing_until_it_has_drained(self) -> None:
        conversation = opened()
        conversation.submit("on its way", 0.0)
        conversation.channel_filled()
        assert frames(conversation.submit("kept", 0.1)) == []
        assert frames(conversation.transmit(5.0)) == []
        assert frames(conversation.path_changed(5.1)) == frames(conversation.probe(5.1)) == []
        assert [frame.body for frame in frames(conversation.channel_drained(6.0))] == [
            Piece("on its way"),
            Piece("kept"),
        ]

    def test_does_not_keep_acknowledgements_back(self) -> None:
        conversation = opened()
        conversation.channel_filled()
        assert frames(conversation.received(encode_frame(Frame(1, Piece("hello"), 0)), 0.0)) == [Frame(0, None, 1)]

    def test_is_another_one_on_a_new_connection(self) -> None:
        conversation = opened()
        conversation.channel_filled()
        conversation.channel_is(NO_PEER)
        conversation.channel_is(PEER)
        assert frames(conversation.submit("sent", 0.0)) != []


def with_standby() -> Conversation:
    conversation = opened()
    assert conversation.standby_is(ASIDE, 0.0) == []
    return conversation


class TestTheStandby:
    def test_carries_nothing_while_all_is_well(self) -> None:
        conversation = with_standby()
        assert frames(conversation.submit("hello", 1.0), "standby") == []

    def test_carries_what_waits_and_what_is_new_while_there_is_doubt(self) -> None:
        conversation = with_standby()
        conversation.submit("one", 1.0)
        outputs = conversation.doubt(1.1)
        assert frames(outputs, "standby") == [Frame(1, Piece("one"), 0)]
        assert frames(outputs) == []  # what is lost there is lost again
        outputs = conversation.submit("two", 1.2)
        assert frames(outputs) == frames(outputs, "standby") == [Frame(2, Piece("two"), 0)]

    def test_is_told_of_a_doubt_though_nothing_waits(self) -> None:
        assert frames(with_standby().doubt(1.0), "standby") == [Frame(0, None, 0)]

    def test_is_left_when_the_doubt_has_passed(self) -> None:
        conversation = with_standby()
        conversation.doubt(1.0)
        conversation.reassured()
        outputs = conversation.submit("hello", 1.1)
        assert (frames(outputs), frames(outputs, "standby")) == ([Frame(1, Piece("hello"), 0)], [])

    def test_carries_everything_alone_while_the_path_is_held(self) -> None:
        conversation = with_standby()
        conversation.submit("one", 1.0)
        conversation.doubt(1.1)
        assert frames(conversation.hold(1.3), "standby") == []  # sent there already
        outputs = conversation.submit("two", 1.4)
        assert (frames(outputs), frames(outputs, "standby")) == ([], [Frame(2, Piece("two"), 0)])
        assert timer(outputs) is not None
        assert frames(conversation.transmit(9.0), "standby") == [Frame(1, Piece("one"), 0), Frame(2, Piece("two"), 0)]

    def test_carries_what_waits_when_the_path_is_held_without_a_doubt_before(self) -> None:
        conversation = with_standby()
        conversation.submit("one", 1.0)
        assert frames(conversation.hold(1.1), "standby") == [Frame(1, Piece("one"), 0)]

    def test_that_opens_while_the_path_is_held_carries_what_waits(self) -> None:
        conversation = opened()
        conversation.submit("one", 1.0)
        assert conversation.hold(1.1) == [commands.CancelTimer(TIMER)]
        outputs = conversation.standby_is(ASIDE, 1.2)
        assert frames(outputs, "standby") == [Frame(1, Piece("one"), 0)]
        assert timer(outputs) is not None

    def test_that_closes_while_the_path_is_held_leaves_it_held(self) -> None:
        conversation = with_standby()
        conversation.hold(1.0)
        conversation.submit("one", 1.1)
        assert timer(conversation.standby_is(NO_PEER, 1.2)) is None
        assert frames(conversation.path_changed(2.0)) == [Frame(1, Piece("one"), 0)]

    def test_is_left_with_everything_sent_again_when_the_path_works_again(self) -> None:
        conversation = with_standby()
        conversation.hold(1.0)
        conversation.submit("one", 1.1)
        outputs = conversation.path_changed(2.0)
        assert (frames(outputs), frames(outputs, "standby")) == ([Frame(1, Piece("one"), 0)], [])

    def test_that_is_used_by_the_other_side_is_used_here_for_a_moment(self) -> None:
        conversation = with_standby()
        conversation.submit("mine", 1.0)
        outputs = conversation.received(encode_frame(Frame(1, Piece("theirs"), 0)), 1.1, "standby")
        assert frames(outputs) == [Frame(0, None, 1)]
        assert frames(outputs, "standby") == [Frame(1, Piece("mine"), 1)]
        for now, both in ((1.0 + ASIDE_FOR, True), (1.2 + ASIDE_FOR, False)):
            assert bool(frames(conversation.submit("more", now), "standby")) == both

    def test_is_always_answered_over_itself(self) -> None:
        conversation = with_standby()
        for number, now in ((1, 1.0), (2, 1.0 + 2 * ASIDE_FOR)):
            outputs = conversation.received(encode_frame(Frame(number, Piece("theirs"), 0)), now, "standby")
            assert frames(outputs, "standby")[-1].ack == number

    def test_brings_what_came_over_the_other_channel_only_once(self) -> None:
        conversation = with_standby()
        conversation.received(encode_frame(Frame(1, Piece("hello"), 0)), 1.0)
        conversation.received(encode_frame(Frame(1, Piece("hello"), 0)), 1.0, "standby")
        assert said(conversation, mine=False) == ["hello"]

    @pytest.mark.parametrize("trip", [0.01, 0.3, 0.7, ASIDE_AGAIN_AFTER / 3])
    def test_does_not_keep_two_sides_busy_after_a_doubt_that_passed(self, trip: float) -> None:
        sides = [with_standby(), with_standby()]
        on_the_way: list[tuple[float, int, str]] = []

        def did(side: int, outputs: list[Command], now: float) -> None:
            on_the_way.extend((now + trip, 1 - side, each.text) for each in sent(outputs) if each.label == "standby")

        did(0, sides[0].doubt(0.0), 0.0)
        sides[0].reassured()
        for count in range(1, 200):
            now = count * 0.1
            for entry in [each for each in on_the_way if each[0] <= now]:
                on_the_way.remove(entry)
                did(entry[1], sides[entry[1]].received(entry[2], now, "standby"), now)
            for side, conversation in enumerate(sides):
                did(side, conversation.submit("hello", now), now)
        assert on_the_way == []

    def test_says_when_anything_came_over_it(self) -> None:
        conversation = with_standby()
        assert conversation.aside_at < 0.0
        conversation.received(encode_frame(Frame(0, None, 0)), 1.0, "standby")
        assert conversation.aside_at == 1.0


class TestANewPeer:
    def test_gets_what_the_old_one_never_confirmed_with_new_numbers(self) -> None:
        conversation = opened()
        for text in ("one", "two", "three"):
            conversation.submit(text, 0.0)
        conversation.received(encode_frame(Frame(1, Piece("theirs"), 1)), 0.1)
        conversation.channel_is(NO_PEER)
        conversation.with_partner("new")
        assert frames(conversation.transmit(0.2)) == []
        conversation.channel_is(PEER)
        outputs = conversation.transmit(0.3)
        assert frames(outputs) == [Frame(1, Piece("two"), 0), Frame(2, Piece("three"), 0)]
        conversation.received(encode_frame(Frame(0, None, 2)), 0.4)
        assert all(message.delivered for message in conversation.messages if message.mine)
        assert [message.number for message in conversation.messages] == [1, 2, 3, 1]

    def test_that_is_an_old_one_again_confirms_late_what_somebody_else_has_read(self) -> None:
        conversation = opened()
        conversation.with_partner("b", "tab")
        conversation.submit("hello", 0.0)
        conversation.with_partner("c", "tab")
        conversation.received(encode_frame(Frame(0, None, 1)), 1.0)
        assert (conversation.messages[0].delivered, conversation.delivered_count) == (True, 1)
        conversation.with_partner("b", "tab")
        conversation.received(encode_frame(Frame(0, None, 1)), 2.0)
        assert (conversation.messages[0].delivered, conversation.delivered_count) == (True, 1)

    def test_gets_what_was_taken_for_others_however_much_that_is(self) -> None:
        conversation = opened()
        conversation.with_partner("b", "tab")
        text = "x" * MAX_TEXT_BYTES
        count = 10 * len(split(text))
        for _ in range(10):
            conversation.submit(text, 0.0)
        conversation.with_partner("c", "tab")
        conversation.received(encode_frame(Frame(0, None, count)), 1.0)
        for _ in range(10):
            conversation.submit(text, 1.0)
        conversation.with_partner("b", "tab")
        with pytest.raises(MessageRefusedError):
            conversation.submit("more", 2.0)
        conversation.received(encode_frame(Frame(0, None, 2 * count)), 3.0)
        assert all(message.delivered for message in conversation.messages)

    def test_that_is_an_old_one_again_goes_on_with_the_numbers_of_then(self) -> None:
        a, b = opened(), opened()
        a.with_partner("b")
        b.with_partner("a")
        said_first = frames(a.submit("first", 0.0))
        (answer,) = frames(b.received(encode_frame(said_first[0]), 0.0))
        a.received(encode_frame(answer), 0.0)
        b.with_partner("c")
        b.received(encode_frame(Frame(1, Piece("from c"), 0)), 0.0)
        b.with_partner("a")
        (again,) = frames(a.submit("second", 1.0))
        (answer,) = frames(b.received(encode_frame(again), 1.0))
        a.received(encode_frame(answer), 1.0)
        assert said(b, mine=False) == ["first", "from c", "second"]
        assert [message.delivered for message in a.messages] == [True, True]

    def test_that_is_an_old_one_again_gets_once_what_it_did_not_confirm_then(self) -> None:
        conversation = opened()
        conversation.with_partner("a")
        conversation.submit("one", 0.0)
        for partner in ("c", "a"):
            conversation.with_partner(partner)
            conversation.channel_is(PEER)
        assert frames(conversation.transmit(9.0)) == [Frame(1, Piece("one"), 0)]

    def test_is_told_that_nothing_is_shared_any_more_if_it_was_told_otherwise(self) -> None:
        conversation = opened()
        conversation.with_partner("a")
        conversation.share(MediaShared(audio=True, video=True), 0.0)
        conversation.with_partner("c")
        conversation.with_partner("a")
        nothing = MediaShared(audio=False, video=False)
        assert [frame.body for frame in frames(conversation.opened(PEER, nothing, 1.0))][-1] == nothing

    def test_is_heard_from_its_first_number(self) -> None:
        conversation = opened()
        conversation.received(encode_frame(Frame(1, Piece("old"), 0)), 0.0)
        conversation.with_partner("new")
        conversation.channel_is(PEER)
        conversation.received(encode_frame(Frame(1, Piece("new"), 0)), 1.0)
        assert said(conversation, mine=False) == ["old", "new"]
        assert [message.number for message in conversation.messages] == [1, 2]


class TestWhatIsShared:
    ON, OFF = MediaShared(audio=False, video=True), MediaShared(audio=False, video=False)

    def test_does_not_wait_for_a_text_that_came_before_it(self) -> None:
        conversation, other = opened(), opened()
        conversation.submit("x" * MAX_TEXT_BYTES, 0.0)
        (frame,) = frames(conversation.share(self.ON, 0.0))
        answer = frames(other.received(encode_frame(frame), 0.0))
        assert other.shared == self.ON
        assert answer == [Frame(0, None, 0, (), 1)]

    def test_is_told_in_order_and_once_like_a_message(self) -> None:
        line = Line(random.Random(0))
        for shared in (self.ON, self.OFF, self.ON):
            line.did(line.a, line.a.conversation.share(shared, line.now))
        line.say(line.a, "look")
        line.rest()
        assert line.b.conversation.shared == self.ON
        assert said(line.b.conversation, mine=False) == ["look"]
        assert [message.delivered for message in line.a.conversation.messages] == [True]

    def test_is_not_a_message(self) -> None:
        conversation = opened()
        assert frames(conversation.share(self.ON, 0.0)) == [Frame(1, self.ON, 0)]
        conversation.received(encode_frame(Frame(0, None, 1)), 0.1)
        assert conversation.messages == []

    def test_by_the_old_peer_is_nothing_of_the_new_one(self) -> None:
        conversation = opened()
        conversation.received(encode_frame(Frame(1, self.ON, 0)), 0.0)
        conversation.with_partner("new")
        assert conversation.shared == self.OFF

    def test_while_too_much_waits_is_no_fault(self) -> None:
        conversation = Conversation()
        for _ in range(16):
            conversation.submit("x" * MAX_TEXT_BYTES, 0.0)
        with contextlib.suppress(MessageRefusedError):
            conversation.share(self.ON, 0.0)

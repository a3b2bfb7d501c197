"""Our sockets at the server: pauses, doubts, deadlines. What is said on them is in test_rendezvous.py."""

from unittest.mock import ANY

import pytest

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.events import Obstacle
from pyapp.core.signaling.link import (
    AT_ONCE,
    DISPELLED_FOR,
    DOUBT_FOR,
    FIRST_PATIENCE,
    FIRST_RETRY,
    LAST_PATIENCE,
    LAST_RETRY,
    OPENING,
    PING,
    PING_EVERY,
    RETRY,
    Link,
)
from pyapp.protocol.signaling import Ping


def present() -> Link:
    link = Link()
    link.open()
    opened(link, 0.0)
    welcomed(link, 0.0)
    return link


def opened(link: Link, now: float) -> list[Command]:
    """Take it that the socket that is being opened is open; if there is none, that one was."""
    outputs = link.opened(link.opening or link.sockets + 1, now)
    assert outputs is not None
    return outputs


def closed(link: Link, code: int, reason: str) -> list[Command]:
    """Take it that the socket that is being opened closed; if there is none, the one in use."""
    return link.closed(link.opening or link.socket, code, reason)


def deadline(outputs: list[Command]) -> float:
    """Return the seconds that the socket has that is being opened."""
    (timer,) = (each for each in outputs if isinstance(each, commands.StartTimer) and each.timer == OPENING)
    return timer.after


def welcomed(link: Link, now: float) -> list[Command]:
    link.heard(now)
    return link.welcomed(now)


def answered(link: Link, now: float) -> list[Command]:
    """Take the sign of life that was asked for."""
    link.heard(now)
    return link.answered()


class TestASocketThatClosed:
    def test_is_tried_again_after_a_pause_that_doubles_up_to_a_limit(self) -> None:
        link = present()
        pauses = []
        for _ in range(8):
            *cancelled, output = closed(link, 1006, "")
            assert commands.CancelTimer(OPENING) in cancelled
            assert isinstance(output, commands.StartTimer)
            assert (output.timer, output.spread) == (RETRY, output.after / 2)
            pauses.append(output.after)
            link.open()
        assert pauses == [0.02, 0.15, 0.3, 0.6, 1.2, 2.4, 4.8, 8.0]
        assert (pauses[0], pauses[1], pauses[-1]) == (AT_ONCE, FIRST_RETRY, LAST_RETRY)

    def test_because_the_service_restarts_is_not_tried_at_once(self) -> None:
        assert closed(present(), 1012, "")[-1] == commands.StartTimer(RETRY, FIRST_RETRY, spread=FIRST_RETRY / 2)

    def test_is_tried_soon_once_the_server_has_answered(self) -> None:
        link = present()
        for _ in range(5):
            closed(link, 1006, "")
        opened(link, 0.0)
        assert closed(link, 1006, "")[-1] == commands.StartTimer(RETRY, 2.4, spread=1.2)
        opened(link, 0.0)
        welcomed(link, 0.0)
        assert closed(link, 1006, "")[-1] == commands.StartTimer(RETRY, AT_ONCE, spread=AT_ONCE / 2)

    def test_says_why_until_it_is_back(self) -> None:
        link = present()
        closed(link, 1012, "restart")
        assert (link.state, link.problem) == ("away", "WebSocket closed with 1012: restart")
        closed(link, 1006, "")
        assert link.problem == "WebSocket closed with 1006"
        welcomed(link, 0.0)
        assert link.problem == ""


class TestANewSocketBesideTheOld:
    def test_is_not_needed_if_the_old_one_has_just_answered(self) -> None:
        link = present()
        assert not link.is_answering(9.0)
        assert link.doubt(9.0)[0] == commands.SendSignaling(Ping(0))
        assert not link.is_answering(9.1)
        answered(link, 9.1)
        assert link.is_answering(9.2)
        assert not link.is_answering(9.0 + DISPELLED_FOR)

    def test_is_not_given_up_for_another_because_the_old_one_is_in_doubt(self) -> None:
        link = present()
        link.doubt(9.0)
        link.reopen()
        assert commands.OpenSignaling(ANY) not in link.check()
        assert link.doubt(9.1) == []

    def test_is_opened_early_if_the_old_one_answers_no_doubt(self) -> None:
        link = present()
        timer = link.doubt(9.0)[1]
        assert timer == commands.StartTimer(PING, DOUBT_FOR)
        assert commands.OpenSignaling(ANY) in link.check()
        assert link.opening

    def test_has_its_usual_time_to_answer_once_the_doubt_has_passed(self) -> None:
        link = present()
        link.doubt(9.0)
        assert link.reassured() == [commands.StartTimer(PING, PING_EVERY)]
        answered(link, 9.1)
        assert link.reassured() == []

    def test_is_given_up_for_another_when_it_is_late_and_each_gets_more_time(self) -> None:
        link = present()
        patience = [deadline(link.open())]
        patience += [deadline(link.due(OPENING)) for _ in range(11)]
        assert patience[:3] == pytest.approx([FIRST_PATIENCE, FIRST_PATIENCE * 1.5, FIRST_PATIENCE * 1.5**2])
        assert patience[-1] == LAST_PATIENCE

    def test_gets_no_more_time_because_earlier_ones_failed_at_once(self) -> None:
        """Without a network they do; the first one after that may lose its first packet, and TCP waits for a second."""
        link = present()
        link.open()
        for _ in range(6):
            closed(link, 1006, "")
            link.due(RETRY)
        assert deadline(link.reopen()) == FIRST_PATIENCE

    def test_gets_the_time_that_the_last_one_took_four_times(self) -> None:
        link = present()
        opened(link, 10.0)
        welcomed(link, 10.2)
        timer = link.open()[-1]
        assert isinstance(timer, commands.StartTimer)
        assert timer.after == pytest.approx(FIRST_PATIENCE + 0.8)

    def test_has_a_deadline_also_if_the_welcome_to_the_older_one_came_meanwhile(self) -> None:
        link = Link()
        link.open()
        opened(link, 0.0)
        link.open()
        assert commands.CancelTimer(OPENING) not in welcomed(link, 1.0)
        (deadline,) = (output for output in opened(link, 2.0) if isinstance(output, commands.StartTimer))
        assert (deadline.timer, deadline.only_if_idle) == (OPENING, True)

    def test_that_is_refused_again_and_again_is_tried_at_growing_pauses_while_the_old_one_is_silent(self) -> None:
        link = present()
        link.reopen()
        pauses = []
        for _ in range(7):
            timer = closed(link, 1006, "")[-1]
            assert isinstance(timer, commands.StartTimer)
            pauses.append(timer.after)
            assert commands.OpenSignaling(ANY) in link.check()
        assert pauses == [0.15, 0.3, 0.6, 1.2, 2.4, 4.8, 8.0]

    def test_of_long_ago_says_nothing_when_it_closes_at_last(self) -> None:
        link = present()
        link.reopen()
        opened(link, 1.0)
        assert link.closed(1, 1006, "") == []
        assert link.state == "joining"

    def test_ends_the_pauses_that_grew_before(self) -> None:
        link = present()
        for _ in range(5):
            closed(link, 1006, "")
        link.reopen()
        assert closed(link, 1006, "")[-1] == commands.StartTimer(RETRY, FIRST_RETRY, spread=FIRST_RETRY / 2)


class TestTheServersSignsOfLife:
    def test_are_asked_for_while_present_alone(self) -> None:
        link = present()
        assert link.check() == [commands.SendSignaling(Ping(0)), commands.StartTimer(PING, PING_EVERY)]
        opened(link, 1.0)
        assert link.check() == []

    def test_that_come_mean_that_the_socket_is_kept(self) -> None:
        link = present()
        for _ in range(3):
            assert commands.OpenSignaling(ANY) not in link.check()
            answered(link, 0.0)

    def test_that_do_not_come_mean_a_new_socket(self) -> None:
        link = present()
        link.check()
        outputs = link.check()
        assert commands.OpenSignaling(ANY) in outputs
        assert outputs[-1] == commands.StartTimer(PING, PING_EVERY)
        opened(link, 11.0)
        welcomed(link, 11.1)
        assert commands.SendSignaling(Ping(0)) in link.check()


class TestASocketThatDoesNotOpen:
    def test_has_http_asked_for_a_clue_at_once_if_there_was_never_a_welcome(self) -> None:
        link = Link()
        link.open()
        assert commands.AskHealth() in closed(link, 1006, "")

    def test_has_it_asked_as_well_if_its_deadline_passes(self) -> None:
        link = Link()
        link.open()
        assert commands.AskHealth() in link.due(OPENING)

    def test_has_it_asked_only_after_some_that_failed_if_the_server_was_there_before(self) -> None:
        link = present()
        closed(link, 1006, "")
        asked = []
        for _ in range(4):
            link.due(RETRY)
            asked.append(commands.AskHealth() in closed(link, 1006, ""))
        assert asked == [False, False, True, True]

    def test_beside_one_that_works_is_no_reason_to_ask(self) -> None:
        link = present()
        for _ in range(5):
            link.open()
            assert commands.AskHealth() not in closed(link, 1006, "")

    def test_is_forgotten_with_the_next_welcome(self) -> None:
        link = Link()
        link.open()
        closed(link, 1006, "")
        link.obstacle = Obstacle("down", "HTTP status 502")
        link.due(RETRY)
        opened(link, 0.0)
        welcomed(link, 0.0)
        assert link.obstacle is None

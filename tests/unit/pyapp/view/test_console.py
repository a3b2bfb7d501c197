"""What the page shows in each state: the contract's fields, the controls, the words."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from pyapp.core import events
from pyapp.core.conversation import Message
from pyapp.core.events import Obstacle, ObstacleKind
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.path.ladder import Rung
from pyapp.core.path.outage import Suspect
from pyapp.core.path.silence import Healthy
from pyapp.core.timers import LinkTimer, RecoveryTimer
from pyapp.protocol.channel import Frame, MediaShared, Piece, encode_frame
from pyapp.protocol.peer import Candidate
from pyapp.protocol.signaling import Error, PeerJoined, Welcome
from pyapp.view.console import View, present
from pyapp.view.path import Fact
from pyapp.view.status import OBSTACLES
from tests.unit.pyapp.fakes import stats_of
from tests.unit.pyapp.sessions import (
    CONFIGURATION,
    CONNECTED,
    FAILED,
    TURN,
    B,
    Closed,
    Core,
    IceConfigured,
    Input,
    Opened,
    connected,
    connecting,
    lost,
    negotiated,
    waiting,
)


def ready() -> Core:
    return Core()


def joining() -> Core:
    core = connecting()
    core.do(Opened())
    return core


def away() -> Core:
    core = connecting()
    core.do(Closed(1006, ""))
    return core


def without_channel() -> Core:
    core = connected()
    core.do(events.ChannelClosed("messages"))
    return core


def without_server() -> Core:
    core = connected()
    core.do(Closed(1012, ""))
    return core


def full() -> Core:
    core = joining()
    core.do(Error("session-full", "two are in it already"))
    return core


def failed() -> Core:
    core = negotiated()
    core.do(FAILED)
    return core


def closed() -> Core:
    core = connected()
    core.do(events.HangUpRequested())
    return core


def over(path: dict[str, Any], **changes: Any) -> View:
    """Return the view of a connection with `path` changes to the local candidate."""
    core = connected(**changes)
    core.do(events.StatsSampled(stats_of(("l1", "r1"), **path)))
    return present(core.session)


@pytest.mark.parametrize(
    ("build", "state", "level", "headline", "controls"),
    [
        # The controls: connect, hang up, restart, send.
        (ready, "ready", "neutral", "Ready to connect", "c---"),
        (connecting, "connecting", "busy", "Reaching the server", "-h--"),
        (joining, "connecting", "busy", "Reaching the server", "-h--"),
        (away, "connecting", "busy", "Reaching the server", "-h--"),
        (waiting, "waiting", "busy", "Waiting for the other side", "-h--"),
        (negotiated, "connecting", "busy", "Connecting", "-h--"),
        (connected, "connected", "good", "Connected directly", "-hrs"),
        (without_server, "connected", "good", "Connected directly", "-hrs"),
        (lost, "recovering", "busy", "Reconnecting…", "-hrs"),
        (without_channel, "recovering", "busy", "Reconnecting…", "-hrs"),
        (full, "failed", "bad", "This session is full", "c---"),
        (failed, "failed", "bad", "No connection is possible", "c---"),
        (closed, "closed", "neutral", "Disconnected", "c---"),
    ],
)
def test_each_state_has_its_words_and_controls(
    build: Callable[[], Core], state: str, level: str, headline: str, controls: str
) -> None:
    view = present(build().session)
    assert (view.status.state, view.status.level, view.status.headline) == (state, level, headline)
    buttons = view.controls
    flags = zip(
        "chrs", (buttons.can_connect, buttons.can_hang_up, buttons.can_restart, view.thread.can_send), strict=True
    )
    assert "".join(letter if flag else "-" for letter, flag in flags) == controls
    assert view.status.detail.endswith(".")


@pytest.mark.parametrize("build", [ready, connecting, waiting, negotiated, full, failed, closed])
def test_without_a_connection_there_is_no_path(build: Callable[[], Core]) -> None:
    view = present(build().session)
    assert (view.path.kind, view.path.local_candidate, view.path.remote_candidate) == ("none", "", "")
    assert (view.path.protocol, view.path.relay_protocol, view.path.facts) == ("", "", ())


def test_a_path_that_is_known_but_not_yet_used_is_not_shown() -> None:
    core = negotiated()
    core.do(CONNECTED, events.StatsSampled(stats_of(("l1", "r1"))))
    assert present(core.session).path.kind == "none"


class TestThePath:
    def test_between_hosts_is_direct(self) -> None:
        view = over({})
        assert (view.path.kind, view.path.local_candidate, view.path.remote_candidate) == ("direct", "host", "host")
        assert (view.path.protocol, view.path.relay_protocol, view.path.ice_generation) == ("udp", "", 0)
        assert "same network" in view.status.detail

    def test_is_known_to_be_on_one_network_once_the_peer_names_the_address_that_is_ours(self) -> None:
        core = connected()
        core.do(events.DiagnosticsShown(is_shown=True))
        stats = stats_of(("l1", "r1"))
        core.do(events.StatsSampled(stats | {"R": stats["R"] | {"candidateType": "prflx"}}))
        public = "candidate:2 1 udp 1677729535 203.0.113.9 {} typ srflx raddr 0.0.0.0 rport 0 ufrag {}"
        core.do(events.LocalCandidate(Candidate(public.format(5000, "l1"), "0", 0, "l1"), "stun:stun.example.org"))
        assert "through the internet" in core.presenter.present(core.session).status.detail
        core.peer_says(Candidate(public.format(5001, "r1"), "0", 0, "r1"))
        assert "same network" in core.presenter.present(core.session).status.detail

    def test_through_nats_is_direct_and_not_on_the_same_network(self) -> None:
        view = over({"candidateType": "srflx"})
        assert (view.path.kind, view.path.local_candidate) == ("direct", "srflx")
        assert "without a relay" in view.status.detail

    @pytest.mark.parametrize("relay_protocol", ["udp", "tcp", "tls"])
    def test_through_a_relay_says_how_it_is_reached(self, relay_protocol: str) -> None:
        view = over({"candidateType": "relay", "relayProtocol": relay_protocol, "url": TURN})
        path = view.path
        assert (path.kind, path.local_candidate, path.relay_protocol) == ("relay", "relay", relay_protocol)
        assert view.status.headline == "Connected through a relay"
        assert "let no direct connection through" in view.status.detail
        assert Fact("relay-protocol", "To the relay", relay_protocol.upper()) in view.path.facts
        assert Fact("server", "Relay server", "turn.example.org") in view.path.facts

    def test_through_a_relay_that_the_browser_does_not_name_says_which_it_is(self) -> None:
        view = over({"candidateType": "relay", "relayProtocol": "tls"})
        assert Fact("server", "Relay server", "turn.example.org") in view.path.facts

    def test_through_a_relay_because_the_page_wants_it_does_not_blame_the_networks(self) -> None:
        view = over({"candidateType": "relay", "relayProtocol": "udp"}, policy="relay")
        assert "opened with relays only" in view.status.detail

    def test_is_still_shown_while_recovering(self) -> None:
        view = present(lost().session)
        assert (view.path.kind, view.path.local_candidate) == ("direct", "host")
        assert view.status.cause == "connectionState disconnected"

    @pytest.mark.parametrize(
        ("rung", "words"),
        [
            ("restart", "Looking for another path, attempt 2."),
            ("relay-only", "Trying relays alone, attempt 2."),
            ("tcp-only", "Trying relays over TCP and TLS alone, attempt 2."),
        ],
    )
    def test_that_is_lost_says_what_is_tried(self, rung: Rung, words: str) -> None:
        core = lost()
        assert core.session.connection
        outage = core.session.connection.recovery.state
        assert isinstance(outage, Suspect)
        outage.ladder.rung, outage.ladder.attempts = rung, 2
        assert words in present(core.session).status.detail
        core.do(Closed(1006, ""))
        assert "The server does not answer either" in present(core.session).status.detail

    def test_that_was_interrupted_says_for_how_long(self) -> None:
        core = connected()
        assert core.session.connection
        core.session.connection.recovery.last_outage = 0.64
        assert Fact("interruption", "Last interruption", "0.6 s") in present(core.session).path.facts

    def test_has_facts_with_stable_names(self) -> None:
        core = connected()
        stats = stats_of(("l1", "r1"))
        stats["T"] |= {"bytesSent": 999, "bytesReceived": 1_234_567}
        stats["l1-r1"] |= {"currentRoundTripTime": 0.0244}
        core.do(events.StatsSampled(stats))
        assert present(core.session).path.facts == (
            Fact("path", "Path", "Direct"),
            Fact("protocol", "Protocol", "UDP"),
            Fact("local-candidate", "This side", "own network (host)"),
            Fact("remote-candidate", "Other side", "own network (host)"),
            Fact("round-trip", "Round trip", "24 ms"),
            Fact("sent", "Sent", "999 B"),
            Fact("received", "Received", "1.2 MB"),
            Fact("encryption", "Encryption", "DTLS 1.2"),
            Fact("restarts", "ICE restarts", "0"),
        )

    def test_that_was_not_measured_says_so(self) -> None:
        facts = {fact.id: fact.value for fact in over({}).path.facts}
        assert (facts["round-trip"], facts["sent"]) == ("not measured", "0 B")

    def test_has_no_thousand_of_a_unit(self) -> None:
        core = connected()
        stats = stats_of(("l1", "r1"))
        stats["T"] |= {"bytesSent": 999_999}
        core.do(events.StatsSampled(stats))
        assert {fact.id: fact.value for fact in present(core.session).path.facts}["sent"] == "1.0 MB"


class TestTheWords:
    def test_say_that_the_server_is_tried_again_and_why(self) -> None:
        view = present(away().session)
        assert view.status.detail == "The server does not answer. Trying again."
        assert view.status.cause == "WebSocket closed with 1006"

    @pytest.mark.parametrize("obstacle", ["log-in", "foreign-origin", "blocked", "down", "offline"])
    def test_say_what_keeps_us_from_the_server_until_it_is_there(self, obstacle: ObstacleKind) -> None:
        core = away()
        core.do(events.HealthTold(Obstacle(obstacle, "GET /healthz: HTTP status 403")))
        status = present(core.session).status
        assert (status.headline, status.detail) == ("Reaching the server", OBSTACLES[obstacle])
        assert status.cause == "WebSocket closed with 1006\nGET /healthz: HTTP status 403"
        core.do(events.TimerFired(LinkTimer.RETRY))
        assert present(core.session).status.detail == OBSTACLES[obstacle], "it does not flicker while it is tried again"
        core.do(Opened(), Welcome(polite=False, peer=""))
        assert present(core.session).status.state == "waiting"
        core.do(events.HealthTold(Obstacle(obstacle, "late")))
        assert core.session.place is not None
        assert core.session.place.link.obstacle is None

    def test_promise_a_path_in_seconds_only_when_there_are_two_to_find_one(self) -> None:
        core = joining()
        core.do(Error("place-held", "one place is only held", retry_after=40.0))
        status = present(core.session).status
        assert (status.headline, status.stage_title) == ("Waiting for a place", "Waiting for a place")
        assert "seconds" not in status.stage_detail
        assert present(away().session).status.stage_title == "Reaching the server"
        assert present(negotiated().session).status.stage_title == "Finding a path"

    def test_say_that_the_server_is_not_needed_while_connected(self) -> None:
        view = present(without_server().session)
        assert "out of reach" in view.status.detail
        assert view.status.cause == "WebSocket closed with 1012"

    def test_say_already_while_connecting_that_a_relay_is_of_no_use(self) -> None:
        core = negotiated()
        core.do(events.CandidateError(TURN, 401, "Unauthorized", ""))
        view = present(core.session)
        assert "refused our user name or password" in view.status.detail
        assert "401" in view.status.cause

    def test_give_the_cause_of_a_failure(self) -> None:
        assert present(full().session).status.cause == "session-full: two are in it already"

    def test_name_the_limit_that_the_server_named(self) -> None:
        core = joining()
        core.do(Error("limit", "At most 32 sessions from one address.", "sessions-per-address"))
        core.do(Closed(1008, ""))
        view = present(core.session)
        assert "At most 32 sessions" in view.status.detail + view.status.cause


class TestTheTitle:
    def test_counts_what_came_while_the_page_is_hidden(self) -> None:
        def comes(number: int) -> str:
            core.do(events.ChannelReceived("messages", encode_frame(Frame(number, Piece("hi"), 0))))
            return present(core.session).status.title

        core = connected()
        assert not comes(1).startswith("(")
        core.do(events.VisibilityChanged(hidden=True))
        assert comes(2).startswith("(1) Connected directly")
        assert comes(3).startswith("(2) ")
        core.do(events.VisibilityChanged(hidden=False))
        assert not comes(4).startswith("(")
        core.do(events.VisibilityChanged(hidden=True))
        assert comes(5).startswith("(1) ")


class TestTheConversation:
    def test_says_of_ours_whether_they_are_delivered(self) -> None:
        core = connected()
        core.do(
            events.MessageSubmitted("one"), events.ChannelReceived("messages", encode_frame(Frame(1, Piece("hi"), 1)))
        )
        core.do(events.MessageSubmitted("two"))
        view = present(core.session)
        assert view.thread.messages == [
            Message(1, mine=True, text="one", delivered=True),
            Message(1, mine=False, text="hi"),
            Message(2, mine=True, text="two"),
        ]
        assert view.thread.delivered_count == 1

    def test_is_still_there_after_hanging_up(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("one"), events.HangUpRequested())
        assert [line.text for line in present(core.session).thread.messages] == ["one"]


class TestMedia:
    def test_of_this_side_has_a_control_each(self) -> None:
        core = connected()
        core.do(events.MediaToggled("camera"), events.MediaToggled("microphone"), events.MediaStarted(2, "microphone"))
        controls = {control.kind: (control.on, control.busy) for control in present(core.session).media.controls}
        assert controls == {"camera": (False, True), "microphone": (True, False), "screen": (False, False)}
        assert not present(core.session).media.local_video
        core.do(events.MediaStarted(1, "camera"))
        assert present(core.session).media.local_video

    def test_of_the_far_end_is_what_it_says_it_shares_until_it_is_gone(self) -> None:
        core = connected()
        shared = Frame(1, MediaShared(audio=True, video=True), 0)
        core.do(events.ChannelReceived("messages", encode_frame(shared)))
        view = present(core.session)
        assert (view.media.remote_audio, view.media.remote_video) == (True, True)
        core.do(events.HangUpRequested())
        view = present(core.session)
        assert (view.media.remote_audio, view.media.remote_video) == (False, False)


def test_the_log_is_newest_first() -> None:
    log = present(connected().session).log.lines
    numbers = [line.number for line in log]
    assert numbers == sorted(numbers, reverse=True)
    assert log[-1].text == "connecting to session demo"


def test_a_third_who_waits_sees_the_session_that_was_asked_for() -> None:
    view = present(waiting().session)
    assert (view.lobby.session, view.lobby.problem) == ("demo", "")


def test_an_early_peer_is_connecting_and_not_waiting() -> None:
    core = connecting()
    core.do(Opened(), Welcome(polite=False, peer=""))
    assert present(core.session).status.state == "waiting"
    core.do(PeerJoined(B), IceConfigured(CONFIGURATION))
    assert present(core.session).status.state == "connecting"


def test_a_busy_page_at_the_other_side_is_told_and_no_interruption() -> None:
    core = connected()
    before = core.presenter.present(core.session)
    assert core.session.connection is not None
    health = core.session.connection.recovery.state
    assert isinstance(health, Healthy)
    health.listening.peer_is_busy = True
    view = core.presenter.present(core.session)
    assert (view.status.state, view.status.headline) == ("connected", before.status.headline)
    assert "The other side's page is busy" in view.status.detail


class TestAPart:
    """What is drawn again after an event: the parts that are another object than before."""

    def drawn_after(self, core: Core, *received: Input) -> set[str]:
        before = core.presenter.present(core.session)
        core.do(*received)
        after = core.presenter.present(core.session)
        names = [item.name for item in fields(View)]
        assert (after is before) == all(getattr(after, name) is getattr(before, name) for name in names)
        return {name for name in names if getattr(after, name) is not getattr(before, name)}

    def test_is_none_for_a_heartbeat(self) -> None:
        core = connected()
        pulse = Pulse()
        for number in range(1, 4):
            beat = pulse.next_beat(number / 10, due=0.1, generation=0).encode()
            assert (
                self.drawn_after(core, events.ChannelReceived("heartbeat", beat), events.TimerFired(RecoveryTimer.BEAT))
                == set()
            )

    def test_is_the_thread_for_a_message(self) -> None:
        core = connected()
        frame = encode_frame(Frame(1, Piece("hello"), 0))
        assert self.drawn_after(core, events.ChannelReceived("messages", frame)) == {"thread"}
        assert self.drawn_after(core, events.MessageSubmitted("hello")) == {"thread"}
        frame = encode_frame(Frame(0, None, 1))
        assert self.drawn_after(core, events.ChannelReceived("messages", frame)) == {"thread"}

    def test_is_the_media_and_the_log_for_a_camera(self) -> None:
        core = connected()
        assert self.drawn_after(core, events.MediaToggled("camera")) == {"media"}
        assert self.drawn_after(core, events.MediaStarted(1, "camera")) == {"media", "devices", "log"}

    def test_is_the_path_for_what_is_measured(self) -> None:
        core = connected()
        stats = stats_of(("l1", "r1"))
        stats["l1-r1"] |= {"currentRoundTripTime": 0.5}
        assert self.drawn_after(core, events.StatsSampled(stats)) == {"path", "quality"}

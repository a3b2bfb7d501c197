"""A whole check as a list of events: its steps, its end, and that it leaves nothing open."""

import pytest

from pyapp.core import commands, events
from pyapp.core.check.check import ALL_FOR, TICK_EVERY, TIMER, Check
from pyapp.core.check.findings import TheirFacts
from pyapp.core.checking import Checking, Occasion
from pyapp.core.commands import Command
from pyapp.core.peers import PeerId, PeerIds
from pyapp.protocol import entries
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import Candidate
from pyapp.view.check import present
from tests.unit.pyapp.fakes import stats_of

STUN = "stun:stun.example:3478"
UDP, TLS = "turn:turn.example:3478?transport=udp", "turns:turn.example:443?transport=tcp"
SERVERS = IceConfiguration((IceServer((STUN,)), IceServer((UDP, TLS), "u", "secret", "turn-eu")))


class Browser:
    """Answers the commands of a check: `silent` are URLs that never do. Time passes with each tick."""

    def __init__(
        self, check: Check, *, silent: tuple[str, ...] = (), websocket: bool | None = True, lists: bool = True
    ) -> None:
        self.check = check
        self.lists = lists
        """Whether the server answers with its list."""
        self.silent = silent
        self.websocket = websocket
        self.now = 10.0
        self.peers: dict[PeerId, str] = {}
        self.opened: list[PeerId] = []
        self.reports: list[commands.KeepCheckReport] = []
        self.ticks = False
        self.is_trying = False
        """Whether a WebSocket is being opened."""
        self._meets: dict[PeerId, PeerId] = {}
        self._generation: dict[PeerId, str] = {}

    def run(self, until: float = 60.0) -> None:
        while self.ticks and self.now < 10.0 + until:
            self.now += TICK_EVERY
            self.ticks = False
            self.do(self.check.tick(self.now))

    def do(self, wanted: list[Command]) -> None:
        for command in wanted:
            match command:
                case commands.StartTimer(timer):
                    assert timer == TIMER
                    self.ticks = True
                case commands.CancelTimer():
                    self.ticks = False
                case commands.AskCheckServers(number) if self.lists:
                    self.tell(events.CheckServersReceived(number, SERVERS, {}))
                case commands.TryWebSocket(number):
                    self.is_trying = self.websocket is None
                    if self.websocket is not None:
                        self.tell(
                            events.WebSocketTried(number, None if self.websocket else events.Obstacle("blocked", ""))
                        )
                case commands.GiveUpWebSocket():
                    self.is_trying = False
                case commands.KeepCheckReport(number):
                    self.reports.append(command)
                    self.tell(events.CheckReportKept(number, "7k2m9qxd4p"))
                case commands.OfPeer(peer, asked):
                    self.peer(peer, asked)

    def tell(self, event: events.CheckEvent | events.OfPeer) -> None:
        self.now += 0.001
        self.do(self.check.receive(event, self.now))

    def peer(self, peer: PeerId, asked: commands.PeerCommand) -> None:
        def said(event: events.PeerEvent, by: PeerId = peer) -> None:
            self.tell(events.OfPeer(by, event))

        match asked:
            case commands.CreatePeer(configuration):
                urls = [url for server in configuration.servers for url in server.urls]
                self.peers[peer] = urls[0]
                self.opened.append(peer)
            case commands.ClosePeer():
                del self.peers[peer]
            case commands.SetLocalDescription(attempt):
                fragment = f"{peer}.{attempt}"
                self._generation[peer] = fragment
                kind = "answer" if peer in self._meets else "offer"
                description = events.SessionDescription(kind, f"a=ice-ufrag:{fragment}\r\n")
                said(events.LocalDescriptionSet(attempt, description))
                url = self.peers.get(peer, "")
                if url and url not in self.silent and attempt == 1:
                    kind = "relay" if url.startswith("turn") else "srflx"
                    line = f"candidate:1 1 udp 1 203.0.113.9 5000 typ {kind} ufrag {fragment}"
                    said(events.LocalCandidate(Candidate(line, "0", 0, fragment), url))
                    if peer in self.peers:
                        said(events.LocalCandidatesEnded(description))
            case commands.SetRemoteDescription(_, description) if description.type == "offer":
                self._meets[peer] = PeerId(int(description.sdp.split(":")[1].split(".")[0]))
            case commands.SetRemoteDescription(1):
                said(events.ChannelOpened("check"))
            case commands.SendOnChannel(label, text):
                near = peer in self._meets
                other = self._meets[peer] if near else next(far for far, one in self._meets.items() if one == peer)
                if label == "check-bulk":
                    said(events.ChannelFilled(label))
                said(events.ChannelReceived(label, text), other)
                if label == "check-bulk":
                    said(events.ChannelDrained(label))
            case commands.SampleStats():
                said(events.StatsSampled(stats_of((self._generation[peer], ""))))


def checked(**options: object) -> Browser:
    browser = Browser(Check(1, PeerIds(), "demo", unix=1_800_000_000.0), **options)  # type: ignore[arg-type]  # as above
    browser.do(browser.check.begin(browser.now))
    browser.run()
    return browser


def test_a_check_says_that_all_is_well_and_leaves_nothing_open() -> None:
    browser = checked()
    check = browser.check
    assert check.verdict is not None
    assert (check.verdict.rule, check.verdict.problems) == ("works", ())
    assert check.found.mapping == "independent"
    assert browser.peers == {}
    assert not browser.ticks
    assert check.found.took < 4
    (kept,) = browser.reports
    assert (kept.session, check.identifier) == ("demo", "7k2m9qxd4p")
    udp, tls = (one for one in check.found.urls if one.url.is_turn)
    assert udp.rate is not None
    assert tls.rate is None, "one transfer for each host"
    assert udp.restarted is not None
    assert all(one.round_trip is not None for one in (udp, tls))
    assert "secret" not in repr(kept.report)


def test_servers_that_are_silent_hold_up_nobody() -> None:
    browser = checked(silent=(STUN, UDP))
    assert browser.check.verdict is not None
    assert browser.check.verdict.rule == "over-tls"
    assert browser.check.found.took < 6
    assert browser.peers == {}


def test_all_of_it_ends_in_time_whatever_is_silent() -> None:
    browser = checked(silent=(STUN, UDP, TLS), websocket=None)
    assert browser.check.verdict is not None
    assert browser.check.verdict.rule == "no-signaling"
    assert browser.check.found.took == pytest.approx(ALL_FOR, abs=0.1)
    assert browser.check.found.took < 12
    assert browser.reports[0].report["took"] == round(browser.check.found.took * 1000)
    assert browser.peers == {}


def test_it_ends_in_time_without_a_word_of_the_server() -> None:
    browser = checked(lists=False, websocket=None)
    assert browser.check.verdict is not None
    assert browser.check.verdict.rule == "server-silent"
    assert browser.check.found.took == pytest.approx(ALL_FOR, abs=0.1)
    assert not browser.ticks


def test_it_can_be_stopped_at_any_moment() -> None:
    for ticks in range(0, 60, 3):
        browser = Browser(Check(1, PeerIds()))
        browser.do(browser.check.begin(browser.now))
        browser.run(until=ticks * TICK_EVERY)
        browser.do(browser.check.stop(browser.now))
        assert browser.check.is_over
        assert browser.peers == {}
        assert not browser.ticks
        assert browser.check.tick(99.0) == []
        late = events.OfPeer(PeerId(1), events.LocalCandidatesEnded(None))
        assert browser.check.receive(late, 99.0) == []


@pytest.mark.parametrize("ends", [5.0, 60.0])
def test_a_websocket_that_never_opens_does_not_outlive_it(ends: float) -> None:
    browser = Browser(Check(1, PeerIds(), "demo"), websocket=None)
    browser.do(browser.check.begin(browser.now))
    browser.run(ends)
    assert browser.is_trying == (ends < ALL_FOR)
    browser.do(browser.check.stop(browser.now))
    assert not browser.is_trying, "browsers open one at a time, and the session's own would wait for it"


def test_its_progress_is_told_step_by_step() -> None:
    browser = Browser(Check(1, PeerIds()))
    assert dict(browser.check.steps)["server"] == "running"
    browser.do(browser.check.begin(browser.now))
    progress = []
    while browser.ticks:
        browser.run(until=browser.now - 10.0 + TICK_EVERY / 2)
        shown = present(browser.check)
        progress.append(shown.progress)
        assert shown.sentence
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert all(state == "done" for _, state in browser.check.steps)


class TestTheSession:
    def test_has_one_check_at_a_time(self) -> None:
        checking = Checking(PeerIds())
        assert checking.begin(Occasion("demo", 0.0), 1.0)
        assert checking.begin(Occasion("demo", 0.0), 2.0) == []
        checking.receive(events.CheckStopRequested(), 3.0)
        assert checking.begin(Occasion("demo", 0.0), 4.0)

    def test_notes_the_end_of_a_check_once(self) -> None:
        checking = Checking(PeerIds())
        checking.begin(Occasion("demo", 0.0), 1.0)
        checking.receive(events.CheckServersReceived(1, SERVERS, {}), 1.1)
        later = [checking.receive(events.CheckStopRequested(), 1.2), checking.tick(1.3), checking.tick(9.0)]
        assert [sum(isinstance(one, entries.Check) for one in outputs) for outputs in later] == [1, 0, 0]

    @pytest.mark.parametrize(
        ("theirs", "has_udp"),
        [
            ({("203.0.113.9", 5000)}, True),
            ({("192.168.1.7", 5000)}, False),  # shown to whoever shares a camera, and no way into that network
            (set(), False),
        ],
    )
    def test_knows_by_their_addresses_whether_udp_reaches_them(
        self, theirs: set[tuple[str, int]], *, has_udp: bool
    ) -> None:
        checking = Checking(PeerIds())
        checking.begin(Occasion("demo", 0.0, theirs=frozenset(theirs), path="relay"), 1.0)
        assert checking.check is not None
        assert checking.check.them is not None
        assert checking.check.them.has_udp == has_udp

    def test_is_told_what_stays_relayed_and_why(self) -> None:
        browser = Browser(Check(1, PeerIds(), them=TheirFacts(True, False, "relay")), silent=(STUN, UDP))
        browser.do(browser.check.begin(browser.now))
        browser.run()
        shown = present(browser.check)
        relayed = "You are connected through a relay at the moment."
        assert shown.forecast == f"{relayed} You will need a relay, because your network blocks UDP."
        assert shown.forecast in shown.report

    def test_takes_no_answer_to_an_earlier_check(self) -> None:
        checking = Checking(PeerIds())
        checking.begin(Occasion("demo", 0.0), 1.0)
        checking.receive(events.CheckStopRequested(), 2.0)
        checking.begin(Occasion("demo", 0.0), 3.0)
        assert checking.receive(events.CheckServersReceived(1, SERVERS, {}), 4.0) == []
        assert checking.check is not None
        assert checking.check.state == "asking"

    def test_is_told_when_the_servers_are_refused(self) -> None:
        checking = Checking(PeerIds())
        checking.begin(Occasion("demo", 0.0), 1.0)
        checking.receive(events.CheckServersFailed(1, "invitation-required", "An invitation is needed."), 1.1)
        assert checking.check is not None
        assert checking.check.verdict is not None
        assert checking.check.verdict.rule == "refused"
        assert present(checking.check).sentence == "An invitation is needed, so nothing could be checked."

"""Relays: which one is set aside, whose credentials are renewed, and what an attempt gathers."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.negotiation import restarts
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path.facts import PeerLost, ReplacementWanted, SparesWanted
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.path.ladder import LADDER, Rung
from pyapp.core.path.recovery import ATTEMPT, SETTLE
from pyapp.core.path.relaying import ATTEMPTS_WITHOUT_PEER, NEEDLESS_RELAY
from pyapp.core.path.relays import DIRECT, RELEASE, Relays
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Beat
from pyapp.protocol.entries import Entry
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.peer import Candidate, Description, RelaySuspected
from tests.unit.pyapp.core.path.test_recovery import CERTAIN, STUN, TURN_ONE, TURN_TWO, TWO_RELAYS, relayed, suspicious
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.parts import CONFIGURATION, ONE, Around, Parts, report
from tests.unit.pyapp.sessions import FETCH, IceConfigured, connected, sent


def urls(configuration: IceConfiguration) -> list[str]:
    return [url for server in configuration.servers for url in server.urls]


def attempted() -> Parts:
    """Return the parts after the first attempt of an outage, whose offer is not answered yet."""
    parts = Parts()
    parts.relaying.attempt("restart", 1, 1.0)
    parts.offer(2)
    return parts


class TestASessionWhoseRelayDied:
    def test_ranks_it_last_and_the_others_twice_and_asks_for_spares(self) -> None:
        core = relayed()
        outputs = suspicious(core)
        (fetch,) = (output for output in outputs if isinstance(output, commands.FetchIceConfiguration))
        assert fetch.avoid == ("one.example",)
        for output in outputs:
            if isinstance(output, commands.SetConfiguration):
                assert urls(output.configuration) == [STUN, TURN_TWO, TURN_TWO, TURN_ONE]
        assert commands.RestartIce() in outputs

    def test_tells_the_other_side_which(self) -> None:
        assert RelaySuspected(TURN_ONE) in sent(suspicious(relayed()))

    def test_does_so_too_when_the_other_side_says_so(self) -> None:
        core = relayed()
        outputs = core.peer_says(RelaySuspected(TURN_TWO))
        (configured,) = (output for output in outputs if isinstance(output, commands.SetConfiguration))
        assert urls(configured.configuration) == [STUN, TURN_ONE, TURN_ONE, TURN_TWO]
        assert commands.RestartIce() not in outputs

    @pytest.mark.parametrize(("silence", "is_blamed"), [(0.4, True), (0.05, False)])
    def test_sets_it_aside_before_it_answers_the_other_side_that_noticed_first(
        self, silence: float, *, is_blamed: bool
    ) -> None:
        core = relayed()
        core.do(events.ChannelReceived("heartbeat", Pulse().next_beat(core.now, due=0.1, generation=0).encode()))
        core.now += silence
        outputs = core.peer_says(Description("offer", sdp("r2"), 1, 1))
        before = itertools.takewhile(lambda output: not isinstance(output, commands.SetRemoteDescription), outputs)
        *_, ranked = [urls(output.configuration) for output in before if isinstance(output, commands.SetConfiguration)]
        assert ranked == ([STUN, TURN_TWO, TURN_TWO, TURN_ONE] if is_blamed else [STUN, TURN_ONE, TURN_TWO])
        assert (RelaySuspected(TURN_ONE) in sent(outputs)) is is_blamed

    def test_does_not_blame_it_for_a_change_of_its_own_network(self) -> None:
        core = relayed()
        core.do(CERTAIN)
        outputs = core.do(events.TimerFired(SETTLE))
        assert not any(isinstance(output, commands.FetchIceConfiguration) for output in outputs)
        assert sent(outputs) == []

    def test_does_not_blame_it_for_dtls_that_failed_at_one_end(self) -> None:
        core = relayed()
        core.do(events.StateChanged("dtls", "failed"))
        outputs = core.do(events.ChannelClosed("messages"))
        assert not any(isinstance(output, commands.FetchIceConfiguration) for output in outputs)
        assert sent(outputs) == []

    def test_of_which_the_browser_does_not_say_the_url_restarts_all_the_same(self) -> None:
        core = relayed()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp")))
        assert commands.RestartIce() in suspicious(core)

    def test_takes_no_harm_from_what_is_no_relay(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected("turn:not a host"))
        assert core.state == "connected"

    def test_gets_over_all_of_them_dying(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected(TURN_TWO))
        outputs = suspicious(core)
        configured = [output for output in outputs if isinstance(output, commands.SetConfiguration)]
        assert set(urls(configured[-1].configuration)) == {STUN, TURN_ONE, TURN_TWO}


class TestCredentials:
    def test_that_were_renewed_while_relayed_are_moved_to(self) -> None:
        core = relayed()
        assert core.do(events.TimerFired(provisioning.RENEW)) == [FETCH]
        *configured, restart = core.do(IceConfigured(TWO_RELAYS))
        assert set(configured) == {commands.SetConfiguration(TWO_RELAYS)}
        assert restart == commands.RestartIce()

    def test_that_were_renewed_while_direct_need_no_restart(self) -> None:
        core = connected()
        core.do(events.TimerFired(provisioning.RENEW))
        assert core.do(IceConfigured(TWO_RELAYS)) == [commands.SetConfiguration(TWO_RELAYS)]

    def test_that_come_with_spares_do_not_put_off_those_of_the_relay_in_use(self) -> None:
        core = relayed()
        assert core.timers[provisioning.RENEW] == 450.0
        core.now += 400.0
        core.peer_says(RelaySuspected(TURN_TWO))
        core.do(IceConfigured(TWO_RELAYS))
        assert core.timers[provisioning.RENEW] == pytest.approx(50.0)

    def test_that_were_renewed_in_an_outage_are_moved_to_after_it(self) -> None:
        core = relayed()
        core.do(events.ChannelReceived("heartbeat", Beat(1, 1, 0, 100, 0).encode()))
        suspicious(core)
        core.do(events.TimerFired(provisioning.RENEW), IceConfigured(TWO_RELAYS))
        assert core.session.connection
        echo = core.session.connection.recovery.pulse.number
        core.do(events.ChannelReceived("heartbeat", Beat(2, echo, 0, 100, 0).encode()))
        outputs = core.do(events.TimerFired(ATTEMPT))
        assert core.session.connection.recovery.is_healthy
        assert commands.RestartIce() in outputs + core.do(events.TimerFired(restarts.TIMER))

    def test_that_expired_while_the_machine_slept_are_asked_for_and_tried_at_once(self) -> None:
        core = connected()
        core.now += 4000.0
        outputs = suspicious(core)
        assert FETCH in outputs
        outputs = core.do(IceConfigured(TWO_RELAYS))
        assert [type(output) for output in outputs] == [commands.SetConfiguration, commands.RestartIce]
        assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS))

    def test_that_come_with_the_spares_of_a_dead_relay_make_no_second_restart(self) -> None:
        core = relayed()
        suspicious(core)
        assert commands.RestartIce() not in core.do(IceConfigured(TWO_RELAYS))

    def test_are_moved_to_also_after_another_relay_died(self) -> None:
        core = relayed()
        core.peer_says(RelaySuspected(TURN_TWO))
        core.do(IceConfigured(TWO_RELAYS))
        core.do(events.TimerFired(provisioning.RENEW))
        assert commands.RestartIce() in core.do(IceConfigured(TWO_RELAYS))


def servers(outputs: Sequence[object]) -> list[IceConfiguration]:
    return [output.configuration for output in outputs if isinstance(output, commands.SetConfiguration)]


def begun(outputs: Sequence[object]) -> bool:
    return commands.RestartIce() in outputs


class TestAnAttempt:
    def test_of_a_new_connection_leaves_this_one_alone(self) -> None:
        outputs = Parts().relaying.attempt("new-connection", 6, 1.0)
        assert outputs[-1] == ReplacementWanted()
        assert not servers(outputs)
        assert not begun(outputs)

    @pytest.mark.parametrize(("rung", "policy"), [("restart", "all"), ("relay-only", "relay"), ("tcp-only", "relay")])
    def test_gathers_what_its_rung_says(self, rung: Rung, policy: str) -> None:
        (configured,) = servers(outputs := Parts().relaying.attempt(rung, 1, 1.0))
        assert configured.policy == policy
        assert begun(outputs)

    def test_gathers_relays_though_they_were_given_up(self) -> None:
        parts = Parts(report())
        parts.agreed.gathers_relays = False
        (configured,) = servers(parts.relaying.attempt("restart", 1, 1.0))
        assert configured.relay_hosts
        assert parts.agreed.gathers_relays, "and has the other side do so, too"

    def test_makes_no_second_offer_to_a_peer_that_has_not_been_heard_since_the_first(self) -> None:
        """An uplink that was gone for 20 s cost six offers, and 56 allocations."""
        parts = attempted()
        for number, rung in enumerate(LADDER[1:5], 2):
            (tried,) = parts.relaying.attempt(rung, number, 1.0 + number)
            assert isinstance(tried, Entry)

    def test_makes_another_one_if_the_peer_was_heard_and_did_not_answer(self) -> None:
        parts = attempted()
        parts.outside.peer_heard = 1.1
        assert begun(parts.relaying.attempt("restart", 2, 2.0))

    def test_makes_another_one_after_our_network_has_changed(self) -> None:
        assert begun(attempted().relaying.attempt("restart", 1, 2.0))

    def test_makes_another_one_if_the_last_one_is_answered(self) -> None:
        parts = attempted()
        parts.agree(2)
        assert begun(parts.relaying.attempt("restart", 2, 2.0))

    def test_makes_another_one_with_fresh_credentials(self) -> None:
        assert begun(attempted().relaying.attempt("restart", 2, 600.0))

    @pytest.mark.parametrize(("back", "is_lost"), [(1.1, False), (20.0, True)])
    def test_makes_another_one_if_the_server_was_out_of_reach_for_the_last(self, back: float, *, is_lost: bool) -> None:
        parts = attempted()
        parts.relaying.server_is_back(back)
        assert begun(parts.relaying.attempt("restart", 2, back)) is is_lost

    def test_asks_for_credentials_if_ours_are_too_old(self) -> None:
        assert SparesWanted() not in Parts().relaying.attempt("restart", 1, 599.0)
        assert SparesWanted() in Parts().relaying.attempt("restart", 1, 600.0)

    @pytest.mark.parametrize("rung", ["restart", "new-connection"])
    def test_gives_up_whoever_the_server_gave_up_and_no_sooner(self, rung: Rung) -> None:
        parts = Parts(outside=Around(peer_is_away=True))
        assert PeerLost() not in parts.relaying.attempt(rung, ATTEMPTS_WITHOUT_PEER, 1.0)
        assert parts.relaying.attempt(rung, ATTEMPTS_WITHOUT_PEER + 1, 1.0) == [PeerLost()]

    def test_gives_nobody_up_who_is_there(self) -> None:
        assert PeerLost() not in Parts().relaying.attempt("restart", 99, 1.0)


class TestBlame:
    def test_is_for_our_own_relay_alone(self) -> None:
        assert Parts(report("relay")).relaying.blame()[-1] == ToPeer(RelaySuspected(ONE))
        for innocent in (None, report(), report("host", "relay"), report("relay", url="")):
            assert Parts(innocent).relaying.blame() == []

    def test_is_also_for_one_that_the_browser_does_not_name_but_only_one_can_be(self) -> None:
        unnamed = replace(report("relay", url=""), likely_relay=ONE)
        assert Parts(unnamed).relaying.blame()[-1] == ToPeer(RelaySuspected(ONE))

    def test_is_told_also_of_one_that_is_set_aside_already(self) -> None:
        """What we said of it before may be lost."""
        parts = Parts(report("relay"))
        parts.relaying.blame()
        assert parts.relaying.blame()[-1] == ToPeer(RelaySuspected(ONE))

    @pytest.mark.parametrize("url", ["", "turn:", "http://one.example", "turn:one.example:99999"])
    def test_for_what_is_no_relay_is_for_nobody(self, url: str) -> None:
        parts = Parts()
        assert parts.relaying.suspect(url) == []
        assert not parts.relays.suspected


class TestARelayThatAnswersAgain:
    RELAY = Candidate("candidate:1 1 udp 1 203.0.113.9 9 typ relay raddr 0.0.0.0 rport 0", "0", 0, "l1")
    REFLEXIVE = Candidate("candidate:2 1 udp 2 203.0.113.1 9 typ srflx raddr 0.0.0.0 rport 0", "0", 0, "l1")

    def suspected(self) -> Parts:
        parts = Parts()
        parts.relays.set_aside(ONE)
        return parts

    def test_is_well_and_that_is_noted_once(self) -> None:
        parts = self.suspected()
        (noted,) = parts.relaying.gathered(self.RELAY, ONE)
        assert isinstance(noted, Entry)
        assert noted.event == "relay-well"
        assert parts.relaying.gathered(self.RELAY, ONE) == []
        assert not parts.relays.suspected

    def test_is_not_known_for_well_by_an_address_or_without_its_url(self) -> None:
        """A server that is asked for an address may be one that cannot relay any more."""
        parts = self.suspected()
        assert parts.relaying.gathered(self.REFLEXIVE, ONE) == []
        assert parts.relaying.gathered(self.RELAY, "") == []
        assert parts.relays.suspected

    def test_is_known_for_well_without_its_url_by_the_address_from_which_it_relays(self) -> None:
        parts = self.suspected()
        stun, one, two = CONFIGURATION.servers
        parts.relays.configured(
            replace(CONFIGURATION, servers=(stun, replace(one, relayed=("203.0.113.9",)), two)), 0.0
        )
        (noted,) = parts.relaying.gathered(self.RELAY, "")
        assert isinstance(noted, Entry)
        assert noted.event == "relay-well"

    def test_is_not_known_for_well_in_the_outage_in_which_it_went_silent(self) -> None:
        parts = self.suspected()
        parts.health.suspect("silence", 1.0)
        assert parts.relaying.gathered(self.RELAY, ONE) == []
        assert parts.relays.suspected


class TestARenewalInAnOutage:
    def outage(self, now: float) -> Parts:
        parts = Parts(report("relay"))
        parts.health.suspect("silence", now)
        parts.relaying.attempt("restart", 1, now)
        return parts

    def test_waits_for_its_end_and_is_told_once(self) -> None:
        parts = self.outage(1.0)
        assert not begun(parts.relaying.configured(1.0, is_renewal=True))
        assert parts.relaying.recovered()
        assert not parts.relaying.recovered()

    def test_does_not_wait_if_the_next_attempt_takes_it(self) -> None:
        parts = self.outage(1.0)
        parts.relaying.configured(1.0, is_renewal=True)
        parts.relaying.attempt("restart", 2, 2.0)
        assert not parts.relaying.recovered()

    def test_is_not_forgotten_for_spares_that_come_after_it(self) -> None:
        parts = self.outage(1.0)
        parts.relaying.configured(1.0, is_renewal=True)
        parts.relaying.configured(1.0, is_renewal=False)
        assert parts.relaying.recovered()

    def test_is_tried_at_once_if_there_was_nothing_valid_to_try(self) -> None:
        parts = self.outage(601.0)
        assert begun(parts.relaying.configured(1.0, is_renewal=True))
        assert not begun(parts.relaying.configured(1.0, is_renewal=True))

    def test_is_none_while_all_is_well(self) -> None:
        parts = Parts(report("relay"))
        assert not begun(parts.relaying.configured(1.0, is_renewal=True))
        assert not parts.relaying.recovered()


class TestAReview:
    def timers(self, parts: Parts, path: PathReport) -> dict[Timer, float]:
        outputs = parts.relaying.review(path)
        return {output.timer: output.after for output in outputs if isinstance(output, commands.StartTimer)}

    def test_leaves_what_both_sides_may_see_to_the_impolite_one(self) -> None:
        path = report("relay")
        assert DIRECT in self.timers(Parts(path), path)
        assert DIRECT not in self.timers(Parts(path, polite=True), path)
        assert RELEASE in self.timers(Parts(report()), report())
        assert RELEASE not in self.timers(Parts(report(), polite=True), report())

    def test_gives_relays_up_that_are_gathered_and_no_others(self) -> None:
        parts = Parts(report())
        parts.agreed.gathers_relays = False
        assert RELEASE not in self.timers(parts, report())

    def test_finds_a_direct_path_once_until_the_next_outage(self) -> None:
        path = report("relay")
        parts = Parts(path)
        self.timers(parts, report())  # there was one
        assert NEEDLESS_RELAY in self.timers(parts, path)
        assert NEEDLESS_RELAY not in self.timers(parts, path)
        parts.relaying.recovered()
        assert NEEDLESS_RELAY in self.timers(parts, path)


class TestARelayOnOneNetwork:
    def test_is_left_for_a_connection_over_every_interface(self) -> None:
        assert ReplacementWanted(every_interface=True) in Parts(report("relay")).relaying.take_every_interface()

    @pytest.mark.parametrize(
        "parts",
        [
            Parts(report()),
            Parts(report("relay"), capture_permitted=False),
            Parts(report("relay"), outside=Around(signaling_is_there=False)),
            Parts(report("relay"), relays=Relays(policy="relay")),
        ],
        ids=["direct", "not-permitted", "no-server", "relays-only"],
    )
    def test_stays_as_it_is(self, parts: Parts) -> None:
        assert parts.relaying.take_every_interface() == []

    def test_stays_as_it_is_in_an_outage(self) -> None:
        parts = Parts(report("relay"))
        parts.health.suspect("silence", 1.0)
        assert parts.relaying.take_every_interface() == []
        assert not begun(parts.relaying.look_for_direct_path(1.0))

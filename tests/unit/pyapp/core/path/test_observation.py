"""What is seen of the path in use: how often it is looked at, and what of it the journal has."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pyapp.core import commands, events
from pyapp.core.diagnostics.path_report import ALLOCATION, CandidateFacts, PathReport
from pyapp.core.negotiation.restarts import SETTLES_WITHIN
from pyapp.core.path.facts import PathChanged
from pyapp.core.path.observation import (
    KEEP_CHECKING,
    KEEP_CHECKING_AFTER,
    MOST_UNTOLD,
    STATS,
    STATS_AGAIN,
    STATS_EVERY,
    STATS_SETTLED,
)
from pyapp.core.timers import Timer
from pyapp.protocol.entries import Entry
from pyapp.view.console import present
from tests.unit.pyapp.fakes import stats_of
from tests.unit.pyapp.parts import Parts, report
from tests.unit.pyapp.sessions import DISCONNECTED, SAMPLED, TURN, Core, Said, connected, lost, negotiated


def _kept_checking(outputs: list[Said]) -> bool:
    return any(isinstance(output, commands.KeepChecking) for output in outputs)


def _selected(priority: int) -> events.StatsSampled:
    entries = stats_of(("l1", "r1"))
    entries["l1-r1"]["priority"] = (priority << 32) + 2 * 2_122_252_543
    return events.StatsSampled(entries)


class TestTheBrowser:
    """It keeps checking on a path that works, so that the next one is not found late."""

    def test_is_asked_to_keep_checking_when_a_generation_has_paired_its_candidates(self) -> None:
        core = connected()
        assert core.timers.pop(KEEP_CHECKING) == KEEP_CHECKING_AFTER
        assert not _kept_checking(core.do(_selected(41)))
        # What is known of the pair may be of the generation before.
        assert core.do(events.TimerFired(KEEP_CHECKING)) == [commands.SampleStats()]
        assert self.asked(core, 62) == [63]
        core.peer_restarts()
        assert core.timers[KEEP_CHECKING] == KEEP_CHECKING_AFTER

    def test_is_asked_anew_when_a_pair_is_selected_that_is_worth_more(self) -> None:
        core = connected()
        core.do(events.TimerFired(KEEP_CHECKING))
        assert self.asked(core, 62) == [63]
        assert self.asked(core, 62) == []
        assert self.asked(core, 42) == []
        assert self.asked(core, 63) == [64]

    def asked(self, core: Core, selected: int) -> list[int]:
        """Return the priorities of the candidates that keep it checking once the pair is worth `selected`."""
        return [output.priority for output in core.do(_selected(selected)) if isinstance(output, commands.KeepChecking)]

    def test_is_not_asked_during_an_outage_or_an_exchange(self) -> None:
        core = lost()
        assert not _kept_checking(core.do(events.TimerFired(KEEP_CHECKING)))
        assert core.timers[KEEP_CHECKING] == KEEP_CHECKING_AFTER
        core = connected()
        core.do(events.NegotiationNeeded())
        assert not _kept_checking(core.do(events.TimerFired(KEEP_CHECKING)))
        assert core.timers[KEEP_CHECKING] == KEEP_CHECKING_AFTER

    def test_is_left_to_fail_as_long_as_there_was_no_connection(self) -> None:
        assert KEEP_CHECKING not in negotiated().timers


class TestASessionThatIsConnected:
    def test_samples_every_two_seconds(self) -> None:
        core = connected()
        core.now = STATS_EVERY
        assert core.do(events.TimerFired(STATS)) == [commands.SampleStats()]
        core.do(SAMPLED)
        assert core.timers[STATS] == STATS_EVERY
        assert [name for name, _ in core.journal].count("sample") >= 1

    def test_notes_less_and_less_while_nothing_changes_and_all_around_an_outage(self) -> None:
        core = connected()

        def noted(seconds: float) -> int:
            before = [name for name, _ in core.journal].count("sample")
            for _ in range(int(seconds / STATS_EVERY)):
                core.now += STATS_EVERY
                core.do(SAMPLED)
            return [name for name, _ in core.journal].count("sample") - before

        assert noted(600.0) < 20
        core.do(DISCONNECTED)
        assert noted(15.0) == 3

    def test_notes_each_change_of_the_pair(self) -> None:
        core = connected()
        beat, sample = core.do(events.PairChanged())
        assert isinstance(beat, commands.SendOnChannel)
        assert sample == commands.SampleStats()
        assert core.do(events.TimerFired(STATS_SETTLED)) == [commands.SampleStats()]
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="tls", url=TURN)))
        assert [data["path"] for name, data in core.journal if name == "pair"] == ["direct", "relay"]
        assert present(core.session).path.kind == "relay"

    def test_notes_once_that_it_cannot_be_sampled_and_when_it_can_again(self) -> None:
        core = connected()
        before = len(core.journal)
        for core.now in (2.0, 4.0, 6.0):
            core.do(events.PeerOperationFailed("getStats", "InvalidStateError: not now"))
            assert core.timers[STATS] == STATS_EVERY
        failed = {"operation": "getStats", "error": "InvalidStateError: not now"}
        assert core.journal[before:] == [("operation-failed", failed)]
        core.now = 8.0
        core.do(SAMPLED)
        assert core.journal[before + 1] == ("operation-works", {"operation": "getStats"})
        core.now = 10.0
        core.do(SAMPLED)
        assert "operation-works" not in [name for name, _ in core.journal[before + 2 :]]


def pauses(outputs: Sequence[object]) -> dict[Timer, float]:
    return {output.timer: output.after for output in outputs if isinstance(output, commands.StartTimer)}


def noted(outputs: Sequence[object]) -> list[str]:
    return [output.event for output in outputs if isinstance(output, Entry)]


class TestAReport:
    def test_of_a_pair_that_is_news_is_noted_and_told(self) -> None:
        parts = Parts()
        outputs = parts.observation.take(report(), 0.0)
        assert noted(outputs) == ["pair"]
        assert PathChanged() in outputs

    @pytest.mark.parametrize(
        "other",
        [report(pair="Q"), report("srflx"), report(remote="prflx"), report(fragment="l2")],
        ids=["pair", "ours", "theirs", "generation"],
    )
    def test_of_the_same_pair_of_which_something_became_known_is_another(self, other: PathReport) -> None:
        parts = Parts(report())
        assert PathChanged() in parts.observation.take(other, 0.0)

    def test_that_only_counts_on_is_none(self) -> None:
        parts = Parts(report())
        grown = replace(report(), bytes_sent=5, packets_received=7, round_trip=0.2, pair_changes=3)
        assert parts.observation.take(grown, 0.0) == []
        assert parts.observation.report == grown, "and yet it is the last one"

    def test_in_an_outage_is_noted_and_says_nothing_of_what_works(self) -> None:
        parts = Parts(report())
        parts.health.suspect("failed", 1.0)
        outputs = parts.observation.take(report(pair="Q"), 1.1)
        assert noted(outputs) == ["pair"]
        assert PathChanged() not in outputs

    def test_says_above_what_new_candidates_must_be(self) -> None:
        parts = Parts()
        parts.observation.take(report(priority=(110 << 32) + 5), 0.0)
        assert parts.agreed.precedence.selected == 110


class TestTheSelectedPair:
    def test_is_of_the_latest_generation_once_that_is_agreed(self) -> None:
        parts = Parts(report(fragment="l1"))
        assert parts.observation.is_of_latest
        parts.offer(2)
        assert not parts.observation.is_of_latest, "it may be: it is not agreed yet which that is"
        parts = Parts(report(fragment="l1"))
        parts.agree(2)
        assert not parts.observation.is_of_latest
        parts.observation.take(report(fragment="l2"), 1.0)
        assert parts.observation.is_of_latest

    def test_is_of_none_before_it_is_known(self) -> None:
        assert not Parts().observation.is_of_latest


class TestTheNextLook:
    def test_is_soon_until_a_restart_is_at_work_at_both_ends(self) -> None:
        parts = Parts(report())
        assert pauses([parts.observation.look_on(0.0)]) == {STATS: STATS_EVERY}
        parts.agree(2)
        parts.restarts.negotiated(1.0)
        assert pauses([parts.observation.look_on(1.1)]) == {STATS: STATS_AGAIN}
        parts.health.vitals.generation = parts.health.vitals.peer_generation = 1
        assert pauses([parts.observation.look_on(1.2)]) == {STATS: STATS_EVERY}

    def test_is_not_soon_for_ever_if_it_never_is(self) -> None:
        parts = Parts(report())
        parts.agree(2)
        parts.restarts.negotiated(1.0)
        assert pauses([parts.observation.look_on(1.0 + SETTLES_WITHIN)]) == {STATS: STATS_EVERY}

    def test_at_a_pair_that_changed_is_at_once_and_past_the_browsers_cache(self) -> None:
        outputs = Parts(report()).observation.pair_changed()
        assert outputs[0] == commands.SampleStats()
        assert pauses(outputs)[STATS_SETTLED] > 0.05


class TestTheMeasuring:
    """`measure`: what was counted between two answers of `getStats()`."""

    def stats(self, pair: str = "P", sent: int = 0) -> dict[str, dict[str, object]]:
        return {
            name: {"type": "candidate-pair", "localCandidateId": "L", "remoteCandidateId": "R", "bytesSent": count}
            for name, count in ((pair, sent), ("Q", 7))
        } | {"L": {"candidateType": "host"}, "R": {"candidateType": "host"}}

    def test_begins_with_the_second_answer_and_passes_over_what_comes_at_once(self) -> None:
        parts = Parts(report())
        measured = [parts.observation.measure(self.stats(), now) for now in (0.0, 0.06, 2.0, 2.06)]
        assert [len(outputs) for outputs in measured] == [0, 0, 1, 0]

    def test_of_the_journal_covers_the_time_since_its_last(self) -> None:
        parts = Parts(report())
        parts.observation.unsteady(0.0)
        notes = [
            output
            for number in range(20)
            for output in parts.observation.measure(self.stats(), number * 2.0)
            if isinstance(output, Entry)
        ]
        assert [note.data()["seconds"] for note in notes] == [2.0, 2.0, 4.0, 8.0, 16.0]

    def test_of_much_that_was_relayed_does_not_wait(self) -> None:
        relayed = replace(report(), local=CandidateFacts("relay", "udp"))
        parts = Parts(relayed)
        parts.observation.measure(self.stats(), 0.0)
        noted = []
        for number, carried in enumerate((MOST_UNTOLD - 1, MOST_UNTOLD, MOST_UNTOLD + 1, 2 * MOST_UNTOLD), 1):
            parts.observation.take(replace(relayed, pair_sent=carried), 2.0 * number)
            outputs = parts.observation.measure(self.stats(), 2.0 * number)
            noted += [output.data()["pair_sent"] for output in outputs if isinstance(output, Entry)]
        assert noted == [MOST_UNTOLD, 2 * MOST_UNTOLD]

    @pytest.mark.parametrize(("is_healthy", "told"), [(True, 5000), (False, 3000)])
    def test_of_what_a_relay_carries_until_it_is_closed_goes_on_as_before(self, *, is_healthy: bool, told: int) -> None:
        relayed = replace(report(), local=CandidateFacts("relay", "udp"))
        parts = Parts(relayed)
        for at, carried in ((0.0, 1000), (2.0, 3000)):
            parts.observation.take(replace(relayed, pair_sent=carried), at)
            parts.observation.measure(self.stats(), at)
        if not is_healthy:
            parts.health.channel_closed(3.0)
        (rest,) = parts.observation.closed(4.0)
        assert isinstance(rest, Entry)
        assert rest.data()["relayed"] == ALLOCATION + told

    def test_of_what_a_relay_carries_until_it_is_closed_is_told_also_if_the_journal_has_the_last(self) -> None:
        relayed = replace(report(), local=CandidateFacts("relay", "udp"))
        parts = Parts(relayed)
        parts.observation.unsteady(0.0)
        for at, carried in ((0.0, 1000), (2.0, 3000)):
            parts.observation.take(replace(relayed, pair_sent=carried), at)
            outputs = parts.observation.measure(self.stats(), at)
        assert isinstance(outputs[-1], Entry)
        (rest,) = parts.observation.closed(4.0)
        assert isinstance(rest, Entry)
        assert (rest.data()["relayed"], rest.data()["seconds"]) == (ALLOCATION + 5000, 2.0)
        assert parts.observation.rest() == []

    def test_tells_the_last_of_a_pair_that_is_left_and_of_a_connection_that_ends(self) -> None:
        parts = Parts(report())
        parts.observation.measure(self.stats(sent=100), 0.0)
        parts.observation.take(report(pair="Q"), 1.0)
        (last,) = parts.observation.measure(self.stats(sent=500), 1.0)
        assert isinstance(last, Entry)
        assert (last.data()["pair"], last.data()["pair_sent"]) == ("P", 500)
        assert parts.observation.rest() == []
        parts.observation.measure(self.stats(), 2.0)
        (rest,) = parts.observation.rest()
        assert isinstance(rest, Entry)
        assert rest.data()["pair"] == "Q"

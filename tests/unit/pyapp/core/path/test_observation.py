"""What is seen of the path in use: how often it is looked at, and what of it the journal has."""

from pyapp.core import commands, events
from pyapp.core.path.observation import KEEP_CHECKING, KEEP_CHECKING_AFTER, STATS, STATS_EVERY, STATS_SETTLED
from pyapp.view.console import present
from tests.unit.pyapp.core.test_session import (
    DISCONNECTED,
    SAMPLED,
    TURN,
    Core,
    Said,
    connected,
    lost,
    negotiated,
)
from tests.unit.pyapp.fakes import stats_of


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
        assert [name for name, _ in core.journal].count("stats") >= 1

    def test_notes_less_and_less_while_nothing_changes_and_all_around_an_outage(self) -> None:
        core = connected()

        def noted(seconds: float) -> int:
            before = [name for name, _ in core.journal].count("stats")
            for _ in range(int(seconds / STATS_EVERY)):
                core.now += STATS_EVERY
                core.do(SAMPLED)
            return [name for name, _ in core.journal].count("stats") - before

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

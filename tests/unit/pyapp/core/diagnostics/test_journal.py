"""The journal of a page load: shown, and streamed to the server."""

import pytest

from pyapp.core import commands
from pyapp.core.diagnostics.journal import KEPT, SHOWN, Journal
from pyapp.core.diagnostics.path_report import path_report
from pyapp.protocol import entries
from pyapp.protocol.journal import MAX_JOURNAL_ENTRIES, SAME_OCCASION, JournalEntry
from pyapp.protocol.journal import Journal as JournalMessage
from pyapp.protocol.signaling import MAX_FRAME_BYTES
from pyapp.protocol.wire import Scalar, encode
from tests.unit.pyapp.core.diagnostics.test_path_report import chromium


def journal(count: int) -> Journal:
    result = Journal(1_000_000.0)
    for number in range(count):
        result.note(number, entries.State("entry", str(number)))
    return result


def numbers(batch: tuple[JournalEntry, ...]) -> list[int]:
    return [entry.number for entry in batch]


class TestJournal:
    def test_counts_and_dates_its_entries(self) -> None:
        one = Journal(1_000_000.0)
        one.note(1.5, entries.LocalCandidate(type="host", port=9, mid="0"))
        texts = {"type": "host", "protocol": "", "tcp_type": "", "address": ""}
        data: dict[str, Scalar] = {**texts, "port": 9, "priority": 0, "server": "", "mid": "0", "ufrag": None}
        assert one.next_batch() == (JournalEntry(1, 1_001_500.0, "candidate-local", data),)
        (line,) = one.lines
        assert (line.number, line.at, line.mark, line.text) == (1, 1_001_500.0, ">", "candidate host")
        assert line.detail == "type=host port=9 priority=0 mid=0"

    def test_shows_the_newest_first_and_not_all(self) -> None:
        one = journal(SHOWN + 10)
        assert len(one.lines) == SHOWN
        assert one.lines[0].number == SHOWN + 10
        assert one.lines[-1].number == 11

    def test_is_streamed_in_batches_once(self) -> None:
        one = journal(MAX_JOURNAL_ENTRIES + 20)
        assert numbers(one.next_batch()) == list(range(1, 101))
        assert numbers(one.next_batch()) == list(range(101, 121))
        assert one.next_batch() == ()
        one.note(0.0, entries.HungUp())
        assert numbers(one.next_batch()) == [121]

    def test_streams_again_what_was_not_confirmed(self) -> None:
        one = journal(10)
        one.next_batch()
        one.confirmed(4)
        one.stream_again()
        assert numbers(one.next_batch()) == [5, 6, 7, 8, 9, 10]

    def test_sends_all_that_is_not_confirmed_before_the_end(self) -> None:
        current = journal(250)
        first = current.next_batch()
        current.confirmed(first[-1].number - 1)
        sent = [command.message for command in current.flush() if isinstance(command, commands.SendSignaling)]
        batches = [message.entries for message in sent if isinstance(message, JournalMessage)]
        assert [number for batch in batches for number in numbers(batch)] == [*range(first[-1].number, 251)]

    def test_sends_nothing_of_one_session_into_another(self) -> None:
        one = journal(0)
        one.begin("first", 0.0)
        one.note(1.0, entries.HungUp())
        one.next_batch()
        one.end(1.0)
        one.note(2.0, entries.Fault("render", "between them"))
        one.begin("second", 3.0)
        one.stream_again()
        assert numbers(one.next_batch()) == [2]

    @pytest.mark.parametrize(("pause", "sent"), [(SAME_OCCASION, [1, 2]), (SAME_OCCASION + 1, [2])])
    def test_sends_the_rest_if_the_session_goes_on_soon(self, pause: float, sent: list[int]) -> None:
        one = journal(0)
        one.begin("demo", 0.0)
        one.note(1.0, entries.HungUp())
        one.next_batch()
        one.end(1.0)
        one.begin("demo", 1.0 + pause)
        one.note(1.0 + pause, entries.Entered("demo", "all"))
        one.stream_again()
        assert numbers(one.next_batch()) == sent

    def test_sends_nothing_of_a_session_that_the_machine_slept_after(self) -> None:
        one = journal(0)
        one.begin("demo", 0.0)
        one.note(1.0, entries.HungUp())
        one.end(1.0)
        one.slept(SAME_OCCASION)
        one.begin("demo", 2.0)
        assert one.next_batch() == ()

    def test_streams_nothing_that_was_confirmed(self) -> None:
        one = journal(10)
        one.next_batch()
        one.confirmed(10)
        one.stream_again()
        assert one.next_batch() == ()
        one.confirmed(10_000)
        one.note(0.0, entries.HungUp())
        assert numbers(one.next_batch()) == [11]

    def test_keeps_a_bounded_number_and_their_loss_can_be_counted(self) -> None:
        one = journal(KEPT + 5)
        assert one.next_batch()[0].number == 6

    def test_shortens_what_is_too_long_for_an_entry(self) -> None:
        one = Journal(0.0)
        one.note(0.0, entries.Fault("render", "e" * 5000))
        assert one.next_batch()[0].data["error"] == "e" * 1024

    def test_batches_fit_into_a_frame(self) -> None:
        one = Journal(0.0)
        for number in range(MAX_JOURNAL_ENTRIES):
            one.note(number, entries.Fault("render", "JsException: " + "x" * 700))
        assert len(encode(JournalMessage(one.next_batch())).encode()) <= MAX_FRAME_BYTES

    def test_batches_of_pairs_fit_into_a_frame(self) -> None:
        """After some time without signaling: pairs of relays between hosts with long addresses."""
        stats = chromium()
        address = "2001:db8:85a3:1234:5678:8a2e:370:7334"
        stats["Iaaaa"] |= {"candidateType": "relay", "relayProtocol": "tls", "address": address}
        stats["Iaaaa"]["url"] = "turns:turn.eu-central-1.console.example.org:443?transport=tcp"
        stats["Ibbbb"] |= {"candidateType": "relay", "address": address}
        report = path_report(stats)
        assert report is not None
        one = Journal(1_700_000_000_000.0)
        for number in range(MAX_JOURNAL_ENTRIES):
            one.note(number, report.entry())
        assert len(encode(JournalMessage(one.next_batch())).encode()) <= MAX_FRAME_BYTES

"""One sentence for each entry: the page's log, the record, its export and the account say the same."""

import json
from pathlib import Path

import pytest

from backend.journal.account import account
from backend.journal.entry import Record, server_entry
from backend.journal.export import exported
from backend.journal.reading import Recorded, recorded
from backend.journal.schema import FILE, open_to_read
from backend.journal.store import Store
from pyapp.core.diagnostics.journal import Journal
from pyapp.protocol import entries

PAGE = "a" * 32
BEGUN = 1_700_000_000.0


def page() -> Journal:
    """Return the journal of a page that saw trouble."""
    journal = Journal(BEGUN * 1000)
    journal.note(1.0, entries.Entered("demo", "all"))
    journal.note(1.1, entries.LocalCandidate(type="host", protocol="udp", address="198.51.100.77", port=9))
    journal.note(2.0, entries.Slept(61.5))
    journal.note(3.0, entries.RelaySuspected("turn:turn1.example.org:3478?transport=udp"))
    journal.note(4.0, entries.StandbyUsed("turn2.example.org"))
    journal.note(5.0, entries.Sample(2.0, bits_in=1000))
    journal.note(6.0, entries.Failed(code="no-path", cause="a\nb"))
    return journal


def stored(journal: Journal, folder: Path, *, keep_addresses: bool) -> Recorded:
    with Store(folder / FILE, keep_addresses=keep_addresses) as store:
        joined = server_entry(entries.ServerJoined("", "Ada"), at=BEGUN)
        store.write([Record("demo", PAGE, BEGUN, (joined, *journal.next_batch()), print)])
    with open_to_read(folder / FILE) as connection:
        found = recorded(connection, 1)
    assert found is not None
    return found


def test_log_record_export_and_account_quote_the_same_sentence(tmp_path: Path) -> None:
    journal = page()
    session = stored(journal, tmp_path, keep_addresses=True)
    log = [line.text for line in reversed(journal.lines)]
    assert [one.text for one in session.told if not one.is_ours] == log
    lines = [json.loads(line) for line in exported(session, "jsonl")]
    assert [line["text"] for line in lines if line["number"] and line["event"] != "sample"] == [
        text for text in log if not text.startswith("direct")
    ]
    assert {one.rule: one.text for one in account(session).sentences} == {
        "came": "Ada joined the session.",
        "slept": "Ada: the machine slept for 62 s.",
        "relay-died": "The relay turn1.example.org did not answer any more.",
        "standby": "Messages went over the second path, through turn2.example.org.",
        "failed": "Ada: the session could not go on, because no path was found between the two networks.",
    }
    quoted = [one.text.lower() for one in account(session).sentences if one.rule != "came"]
    assert all(any(text.endswith(f"{line.lower()}.") for line in log) for text in quoted)


def test_a_sample_is_figures_alone(tmp_path: Path) -> None:
    session = stored(page(), tmp_path, keep_addresses=True)
    samples = [line for line in map(json.loads, exported(session, "jsonl")) if line["event"] == "sample"]
    assert samples
    assert not [line for line in samples if "text" in line]


@pytest.mark.parametrize(("kept", "address"), [(True, "198.51.100.77"), (False, "198.51.100.0")])
def test_the_sentence_has_the_address_as_the_record_has_it(tmp_path: Path, kept: bool, address: str) -> None:
    told = stored(page(), tmp_path, keep_addresses=kept).told
    assert f"candidate host udp {address}:9" in [one.text for one in told]

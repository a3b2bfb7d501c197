"""`/sessions`: an operator looks back, with the keyboard, at a session that was recorded in the lab."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import ROOT, OpenPage, StartConsole
from tests.browser.test_accessibility import expect_accessible


def test_an_operator_finds_a_session_and_reads_what_happened(
    start_console: StartConsole, open_page: OpenPage, tmp_path: Path
) -> None:
    journal = tmp_path / "journal-0"
    journal.mkdir()
    recorded = ROOT / "tests/unit/backend/journal/recorded/turn-killed.jsonl"
    (journal / "calm-otter.jsonl").write_bytes(recorded.read_bytes())
    console = start_console(access="")
    operator = open_page("about:blank", wait_for=None)
    page = operator.page
    page.goto(f"{console.address}sessions{console.operator_fragment}")
    row = page.locator("#sessions tr")
    expect(row).to_contain_text("calm-otter")
    assert "invite" not in page.url, "a copied address gives nothing away"
    page.get_by_label("Name of a session or of a person, or the number of a check").fill("nothing")
    expect(page.get_by_text("Nothing is recorded under that name.")).to_be_visible()
    page.get_by_label("Name of a session or of a person, or the number of a check").fill("OTTER")
    expect_accessible(operator, picture="list")
    page.get_by_role("link", name="calm-otter").press("Enter")
    outage = page.locator("#account [data-rule=outage]")
    expect(outage).to_have_text(re.compile(r"everything was back after 1\.3 s, through turn2\.lab over UDP\.$"))
    expect(page.locator("#charts canvas")).to_have_count(14)
    expect(page.locator("#charts .chart-values").first).to_have_text(re.compile(r"^\d.* ms$"))
    expect(page.locator("#log li")).to_have_count(0)  # it is most of the document: made when somebody opens it
    page.locator("summary", has_text="entries").press("Enter")
    expect(page.locator("details ol")).to_be_visible()
    expect(page.locator("#log")).to_contain_text("Guest 1 · the path is suspect: silence")
    expect_accessible(operator, picture="timeline")
    with page.expect_download() as saving:
        page.get_by_role("button", name="rtcstats").press("Enter")
    assert Path(saving.value.path()).read_text().startswith("RTCStatsDump\n")

"""Invitations, as the page has them. It comes from the machine's own LAN address here."""

import json
import re
import time

import jwt
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console, OpenPage, Operator, StartConsole, wait_until

KEY = "a key for invitations that is long enough"
LAN = "198.51.100.10"
"""The address that `.ci/isolated` gives to this network's one interface."""


@pytest.fixture
def lan_console(start_console: StartConsole) -> Console:
    """Serve the console to a LAN."""
    return start_console("--host", LAN, access="", environment={"ICE_CONSOLE_INVITATION_KEY": KEY})


def invite(console: Console, session: str, *arguments: str) -> str:
    return console.run("invite", session, *arguments).strip()


def console_invitation(console: Console) -> str:
    return console.operator_fragment.partition("=")[2]


def expect_refusal(operator: Operator, words: str, statuses: str) -> None:
    operator.connect()
    operator.expect_state("failed")
    expect(operator.page.locator("#status")).to_contain_text(words)
    operator.expect_problem(statuses)


def test_without_an_invitation_the_page_says_so(lan_console: Console, open_page: OpenPage) -> None:
    operator = open_page(f"{lan_console.address}?session=private")
    expect_refusal(operator, "An invitation is needed", "401")
    operator.page.locator("#check").click()
    expect(operator.page.locator("#check-sentence")).to_have_text(
        "An invitation is needed, so nothing could be checked."
    )


def test_two_with_an_invitation_connect_and_no_log_has_it(lan_console: Console, open_page: OpenPage) -> None:
    token = invite(lan_console, "private")
    address = f"{lan_console.address}?session=private#invite={token}"
    first, second = open_page(address), open_page(address)
    for operator in (first, second):
        operator.connect()
    for operator in (first, second):
        operator.expect_state("connected")
        expect(operator.page.locator("#link")).to_have_value(re.compile(re.escape(token)))  # the other side may use it
        operator.page.locator("#diagnostics > summary").click()
        expect(operator.page.locator("#log")).to_contain_text("joined the session")
        assert token not in (operator.page.locator("#log").text_content() or "")
    wait_until(lambda: bool(lan_console.entries("private")), "the journal is written")
    assert token not in lan_console.log
    assert token not in json.dumps(lan_console.entries("private"))


def test_the_invitation_leaves_the_address_bar_and_stays_in_the_tab(lan_console: Console, open_page: OpenPage) -> None:
    operator = open_page(f"{lan_console.address}?session=private{lan_console.operator_fragment}")
    expect(operator.page).to_have_url(f"{lan_console.address}?session=private")
    expect(operator.page.locator("#link")).to_have_value(re.compile("#invite="))
    link = operator.page.locator("#link").input_value()
    assert console_invitation(lan_console) not in link, "an operator's is for nobody else"
    operator.page.reload()
    operator.expect_state("ready")
    operator.connect()
    operator.expect_state("waiting")


def test_whoever_is_revoked_is_shown_the_door(lan_console: Console, open_page: OpenPage) -> None:
    token = invite(lan_console, "private", "--name", "guest")
    operator = open_page(f"{lan_console.address}?session=private{lan_console.operator_fragment}")
    operator.connect()
    operator.expect_state("waiting")
    guest = open_page(f"{lan_console.address}?session=private#invite={token}")
    guest.connect()
    for page in (operator, guest):
        page.expect_state("connected")
    listed = [line.split("\t") for line in lan_console.run("invitations").splitlines()]
    lan_console.run("revoke", next(one[0] for one in listed if one[3] == "guest"))
    guest.expect_state("failed")
    expect(guest.page.locator("#status")).to_contain_text("This invitation was taken back")
    operator.expect_state("waiting")


def test_an_expired_invitation_is_refused_in_words(lan_console: Console, open_page: OpenPage) -> None:
    claims = jwt.decode(invite(lan_console, "private"), KEY, algorithms=["HS256"], options={"verify_aud": False})
    token = jwt.encode(
        claims | {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}, KEY, algorithm="HS256"
    )
    operator = open_page(f"{lan_console.address}?session=private#invite={token}")
    expect_refusal(operator, "This invitation has expired", "401")


def test_an_invitation_to_another_session_is_refused(lan_console: Console, open_page: OpenPage) -> None:
    operator = open_page(f"{lan_console.address}?session=private#invite={invite(lan_console, 'another')}")
    expect_refusal(operator, "This invitation is not valid", "401|403")

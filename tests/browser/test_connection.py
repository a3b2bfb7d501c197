"""Two people connect."""

from tests.browser.conftest import Console, OpenPage, pair


def test_two_operators_on_one_machine_connect_by_host_candidates(console: Console, open_page: OpenPage) -> None:
    for operator in pair(console, open_page, session="same-machine"):
        operator.expect_attribute("data-path", "direct")
        operator.expect_attribute("data-local-candidate", "host")
        operator.expect_attribute("data-remote-candidate", "host")
        operator.expect_attribute("data-protocol", "udp")

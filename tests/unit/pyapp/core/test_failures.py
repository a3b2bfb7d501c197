"""What is made of the answers of servers, and of whoever stands before them."""

import pytest

from pyapp.core.failures import obstacle_of


@pytest.mark.parametrize(
    ("status", "content_type", "kind"),
    [
        (200, "application/json; charset=utf-8", "blocked"),
        (200, "text/html", "log-in"),
        (401, "application/json", "log-in"),
        (403, "text/html", "log-in"),
        (407, "no type", "log-in"),
        (511, "text/html", "log-in"),
        (404, "text/html", "down"),
        (502, "text/html", "down"),
        (503, "application/json", "down"),
    ],
)
def test_an_answer_of_healthz_says_why_no_websocket_opens(status: int, content_type: str, kind: str) -> None:
    assert obstacle_of(status, content_type) == kind

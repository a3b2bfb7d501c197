"""What is made of the answers of servers, and of whoever stands before them."""

import pytest

from pyapp.core.events import Obstacle
from pyapp.core.failures import obstacle_of
from pyapp.protocol.signaling import Error
from pyapp.protocol.wire import encode


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
    assert obstacle_of(status, content_type).kind == kind


def test_whom_the_server_refuses_because_of_the_origin_is_told_its_rule() -> None:
    body = encode(Error("foreign-origin", "The page is of https://a, and this server was asked as b."))
    said = "The page is of https://a, and this server was asked as b."
    assert obstacle_of(403, "application/json", body) == Obstacle("foreign-origin", said)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"code":"limit","message":"no"}', '{"code":3}'])
def test_any_other_403_is_of_whoever_wants_a_log_in(body: str) -> None:
    told = obstacle_of(403, "text/html", body)
    assert told == Obstacle("log-in", "GET /healthz: HTTP status 403, text/html")

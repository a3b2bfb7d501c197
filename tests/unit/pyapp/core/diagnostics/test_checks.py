"""Candidates and pairs, with the results of their checks."""

from typing import Any

from pyapp.core.commands import UNCHECKED
from pyapp.core.diagnostics.checks import Checks, candidates, mapped_address
from pyapp.core.diagnostics.path_report import path_report
from tests.unit.pyapp.core.diagnostics.test_path_report import chromium


def stats(**entries: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return chromium() | {
        "Icccc": {"type": "local-candidate", "candidateType": "srflx", "address": "203.0.113.9", "port": 7},
        "Idddd": {"type": "remote-candidate", "candidateType": "host", "address": "10.0.0.2", "port": 8},
        **entries,
    }


def pair(**more: Any) -> dict[str, Any]:
    return {"type": "candidate-pair", "localCandidateId": "Icccc", "remoteCandidateId": "Idddd"} | more


def test_the_pair_in_use_comes_first_and_each_says_what_its_checks_showed() -> None:
    found = stats(
        CPcccc_dddd=pair(state="failed"),
        works=pair(state="succeeded", requestsSent=4, responsesReceived=3, requestsReceived=2),
        silent=pair(state="in-progress", requestsSent=9),
        begun=pair(state="in-progress", requestsSent=1),
        frozen=pair(state="frozen"),
    )
    pairs = Checks().pairs(found, path_report(found))
    assert [(one.id, one.outcome) for one in pairs] == [
        ("CPaaaa_bbbb", "in-use"),
        ("works", "works"),
        ("begun", "checking"),
        ("frozen", "waiting"),
        ("silent", "no-answer"),
        ("CPcccc_dddd", "failed"),
    ]
    assert (pairs[1].sent, pairs[1].answered, pairs[1].asked) == (4, 3, 2)


def test_of_checks_that_are_not_counted_nothing_is_said() -> None:
    found = stats(
        works=pair(state="succeeded", responsesReceived=3),
        begun=pair(state="in-progress"),
        CPcccc_dddd=pair(state="frozen"),
    )
    _, *pairs = Checks().pairs(found, path_report(found))
    told = [(one.id, one.outcome, one.sent, one.answered) for one in pairs]
    assert told == [("works", "works", None, 3), ("begun", "checking", None, 0), ("CPcccc_dddd", "waiting", None, 0)]


def test_what_only_keeps_the_browser_checking_is_no_candidate() -> None:
    found = stats(Idddd={"type": "remote-candidate", "candidateType": "host", "usernameFragment": UNCHECKED})
    assert [one.id for one in Checks().pairs(found, None)] == ["CPaaaa_bbbb"]
    assert [one.address for one in candidates(found, "remote")] == ["198.51.100.2"]


def test_candidates_are_listed_by_type_and_each_once() -> None:
    found = stats(again={"type": "local-candidate", "candidateType": "srflx", "address": "203.0.113.9", "port": 7})
    assert [one.type for one in candidates(found, "local")] == ["host", "srflx"]


def test_the_public_address_is_that_of_a_reflexive_candidate() -> None:
    found = stats()
    report = path_report(found)
    assert report is not None
    assert mapped_address(found, report) == "203.0.113.9"
    del found["Icccc"]
    assert mapped_address(found, report) == ""
    found["Iaaaa"] |= {"candidateType": "prflx"}
    report = path_report(found)
    assert report is not None
    assert mapped_address(found, report) == "192.0.2.1"


def test_a_pair_is_made_again_if_it_an_end_or_its_use_has_changed() -> None:
    checks, found = Checks(), stats()
    (first, *_) = checks.pairs(found, None)
    assert checks.pairs(dict(found), None)[0] is first
    entry = found[first.id]
    for key in (first.id, entry["localCandidateId"], entry["remoteCandidateId"]):
        changed = found | {key: {**found[key], "priority": 1}}
        assert checks.pairs(changed, None)[0] is not first
        (first, *_) = checks.pairs(found, None)
    used = path_report(found, first.id)
    assert checks.pairs(found, used)[0].outcome == "in-use"
    assert checks.pairs(found, None)[0].outcome != "in-use"

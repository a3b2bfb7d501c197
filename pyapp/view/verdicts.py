"""What went wrong, in words that a person can act on, with the technical cause."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from pyapp.core.diagnostics.gathering import ServerProblem
from pyapp.core.failures import Failure, MessageRefusal, NoPath, Refusal, TooLong
from pyapp.protocol.channel import MAX_TEXT_BYTES
from pyapp.protocol.ice import IceError, parse_reported_url


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the session cannot go on: words for the person, and the technical cause."""

    headline: str
    detail: str
    cause: str


REFUSALS = {
    "session-full": (
        "This session is full",
        "Two people are in it already. Choose another session name, or wait until one of them leaves.",
    ),
    "replaced": (
        "Taken over by another tab",
        "This tab was opened a second time, and the newer one is in the session now. Go on there.",
    ),
    "invitation-required": (
        "An invitation is needed",
        "Ask the person who runs this console for a link, and open that link.",
    ),
    "invitation-expired": (
        "This invitation has expired",
        "Ask the person who sent you the link for a new one.",
    ),
    "invitation-revoked": (
        "This invitation was taken back",
        "The person who runs this console has ended it. Ask for a new one if that was not meant.",
    ),
    "invitation-invalid": (
        "This invitation is not valid",
        "Open the link exactly as you were given it, or ask for a new one.",
    ),
}
"""By the code of the server's error: headline and advice."""

_PROBLEMS = {
    "credentials-refused": "refused our user name or password",
    "quota-reached": "has reached its limit of connections for us",
    "no-capacity": "has no capacity left",
    "no-answer": "did not answer",
    "loopback": "is on this machine alone, where this browser uses none",
}


def explain(failure: Failure) -> Verdict:
    """Say why the session cannot go on."""
    match failure:
        case Refusal(code, reason):
            headline, detail = REFUSALS.get(code, ("The server refused", "Try again, or choose another session name."))
            return Verdict(headline, detail, f"{code}: {reason}")
        case NoPath():
            return _no_path(failure)
        case _:
            assert_never(failure)


def server_sentences(problems: Iterable[ServerProblem]) -> list[str]:
    """Return a sentence for each server that is known not to work."""
    sentences = (f"The relay server {_server(problem.url)} {_PROBLEMS[problem.kind]}." for problem in problems)
    return list(dict.fromkeys(sentences))


def message_refusal(refusal: MessageRefusal) -> str:
    """Say why a message was refused."""
    if isinstance(refusal, TooLong):
        return f"This message is too long: it has {refusal.size:,} bytes, and {MAX_TEXT_BYTES:,} are the most."
    return "Too much is waiting for the other side. Send it again when the connection is back."


def _no_path(failure: NoPath) -> Verdict:
    sentences = server_sentences(failure.problems)
    kinds = {problem.kind for problem in failure.problems}
    if kinds == {"loopback"}:
        why, advice = " ".join(sentences), "Open this page at another address of the machine, or in another browser."
    elif kinds == {"no-answer"}:
        why = f"{' '.join(sentences)} The network that you are in probably does not let it through."
        advice = "Try another network, such as a phone's. If others fail too, tell whoever runs this console."
    elif sentences:
        why, advice = " ".join(sentences), "Whoever runs this console must mend the relay server."
    elif failure.budget_used_up:
        why = "The two networks let no direct connection through, and the budget for relays is used up."
        advice = "Try another network, such as a phone's, or ask whoever runs this console."
    elif failure.without_relays:
        why = "The two networks let no direct connection through, and the server named no relays when it was asked."
        advice = "Try again in a moment. If it stays, tell whoever runs this console."
    elif failure.relay_only:
        why, advice = "No relay server could be used.", "Ask whoever runs this console to add a relay server."
    else:
        why = "The two networks let no connection through."
        advice = "Try another network, or ask whoever runs this console to add a relay server."
    causes = failure.errors or ("connectionState failed, and no candidate pair worked",)
    return Verdict("No connection is possible", f"{why} {advice}", "\n".join(causes))


def _server(url: str) -> str:
    try:
        parsed = parse_reported_url(url)
    except IceError:
        return url
    return f"{parsed.host} ({parsed.transport.upper()} port {parsed.port})"

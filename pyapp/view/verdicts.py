"""What went wrong, in words that a person can act on, with the technical cause beside them."""

from dataclasses import dataclass

from pyapp.core.diagnostics.gathering import Gathering
from pyapp.core.events import MediaKind


@dataclass(frozen=True, slots=True)
class Failure:
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
    "invitation-invalid": (
        "This invitation is not valid",
        "Open the link exactly as you were given it, or ask for a new one.",
    ),
}
"""By the code of the server's error: headline and advice."""


def refusal(code: str, reason: str) -> Failure:
    """Explain a refusal of the server."""
    headline, detail = REFUSALS.get(code, ("The server refused", "Try again, or choose another session name."))
    return Failure(headline, detail, f"{code}: {reason}")


def no_path(gathering: Gathering, *, relay_only: bool) -> Failure:
    """Explain why no candidate pair worked."""
    verdicts = gathering.verdicts()
    if verdicts:
        why, advice = " ".join(verdicts), "Whoever runs this console must mend the relay server."
    elif relay_only:
        why, advice = "No relay server could be used.", "Ask whoever runs this console to add a relay server."
    else:
        why = "The two networks let no connection through."
        advice = "Try another network, or ask whoever runs this console to add a relay server."
    causes = gathering.causes() or ["connectionState failed, and no candidate pair worked"]
    return Failure("No connection is possible", f"{why} {advice}", "\n".join(causes))


def media_refusal(kind: MediaKind, error: str) -> str:
    """Explain the `DOMException` of `getUserMedia()` or `getDisplayMedia()`."""
    words = {
        "NotAllowedError": f"The browser may not use the {kind}. Allow it beside the address, and try again.",
        "NotFoundError": f"No {kind} was found on this device.",
        "NotReadableError": f"The {kind} is in use by another program.",
    }
    return words.get(error, f"The {kind} could not be switched on ({error}).")

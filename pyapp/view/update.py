"""Whether the page is older than the server, in words."""

from dataclasses import dataclass

from pyapp.core.session import Session


@dataclass(frozen=True, slots=True)
class Update:
    """A newer page."""

    sentence: str = ""
    """Says that there is one, and what to do; empty if there is none."""
    can_reload: bool = False
    """Whether to offer a button: not in a session, which the person ends when they want to."""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    return session.presence.is_outdated, session.phase == "active"


def update(session: Session) -> Update:
    """Present it."""
    if not session.presence.is_outdated:
        return Update()
    if session.phase == "active":
        return Update("This console was updated. Reload the page once you have hung up.")
    return Update("This console was updated, and this page is older.", can_reload=True)

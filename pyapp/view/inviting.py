"""Inviting: the link, what to know about it, and the list of invitations."""

from dataclasses import dataclass, field

from pyapp.core.inviting import Inviting, InvitingFailure
from pyapp.core.session import Session
from pyapp.protocol.access import Invitation
from pyapp.protocol.names import encoded

MOST_LISTED = 50
"""How many invitations are listed, the newest ones; `server.py invitations` lists all."""

COPY, REVOKE, REVOKE_NOW = "Copy link", "Revoke", "Revoke now?"
"""Button labels; the last one asks to press Revoke again."""

NO_CODE = "The QR code did not load. The link works without it; to try again, close this and open it again."

MADE, UNTIL = "made", "until"
"""Before a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """A valid invitation. Times are Unix time, seconds.

    One that has no name is told from others by its session and by when it was `made`, which is 0 otherwise.
    """

    id: str
    name: str
    about: str
    """What else there is to say of it: its session, or what `made` is appended to."""
    expires: int
    made: int = 0


def revocation(name: str, about: str) -> str:
    """Return what the button of a row does, for screen readers."""
    return f"Revoke {name}, {about}" if about else f"Revoke {name}"


@dataclass(frozen=True, slots=True)
class Invite:
    """The link to share, and its panel."""

    session: str = ""
    link: str = field(default="", repr=False)
    """Empty while it cannot be shared."""
    is_settled: bool = False
    """Whether it will no longer change by itself."""
    placeholder: str = ""
    """What is shown instead of a missing link."""
    note: str = ""
    """Whom the link is for; `expires`, if any, is appended."""
    expires: int | None = None
    """Unix time, seconds."""
    notice: str = ""
    """A warning about the address in it, or empty."""
    addresses: tuple[tuple[str, str], ...] = ()
    """Addresses to choose from, each with its label."""
    address: str = ""
    may_issue: bool = False
    is_busy: bool = False
    rows: tuple[Row, ...] = ()
    problem: str = ""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    inviting = session.inviting
    return (
        (inviting.session, inviting.access, inviting.token, inviting.listed, inviting.failure, inviting.address),
        (len(inviting.issuing), inviting.is_panel_open),
    )


def invite(session: Session) -> Invite:
    """Present it."""
    inviting = session.inviting
    return Invite(
        session=inviting.session,
        link=link(inviting) if inviting.is_ready else "",
        is_settled=inviting.is_settled,
        placeholder=_placeholder(inviting),
        note=_note(inviting),
        expires=inviting.expires,
        notice=_notice(inviting),
        addresses=_addresses(inviting),
        address=inviting.base,
        may_issue=inviting.may_issue,
        is_busy=bool(inviting.issuing),
        rows=tuple(_row(one) for one in reversed(inviting.listed) if not one.is_revoked)[:MOST_LISTED],
        problem=_problem(inviting.failure) if inviting.failure else "",
    )


def link(inviting: Inviting) -> str:
    """Return the link to share. The invitation is in the fragment, which is sent to no server."""
    fragment = f"#invite={encoded(inviting.token)}" if inviting.token else ""
    return f"{inviting.base}?session={encoded(inviting.session)}{fragment}"


def _placeholder(inviting: Inviting) -> str:
    if not inviting.session:
        return "Choose a session name first"
    return "No invitation in it yet" if inviting.failure else "Preparing the link…"


def _note(inviting: Inviting) -> str:
    if inviting.token:
        return "Lets whoever has it into this session, and no other. Good until"
    if inviting.access is None or inviting.is_operators:
        return ""
    if inviting.access.is_open:
        return "This server lets in everybody: the link needs no invitation, and does not expire."
    if inviting.access.role == "operator":
        return ""
    return "There is no invitation in it: whoever opens it needs one of their own. Only an operator can invite."


def _notice(inviting: Inviting) -> str:
    if not inviting.is_local or inviting.address not in ("", inviting.page):
        return ""
    if inviting.address:
        return "This link leads back to the machine that opens it: it works on this machine only."
    if inviting.access is None:
        return "This page's address leads to this machine only."
    if inviting.access.addresses and not inviting.others:
        return (
            "Nobody else can open this link: this page's address leads to this machine only."
            " Open the page at the address that the proxy before this server has for others."
        )
    if not inviting.others:
        return (
            "Nobody else can open this link: the server listens on this machine only."
            " Start it with --host 0.0.0.0, or put it behind a proxy."
        )
    without_tls = inviting.base.startswith("http:")
    return "This page's own address leads to this machine only, so the link uses another of its addresses." + (
        " Without https, browsers give no camera and no microphone there." if without_tls else ""
    )


def _addresses(inviting: Inviting) -> tuple[tuple[str, str], ...]:
    own = (inviting.page, f"{_host(inviting.page)} (this machine only)" if inviting.is_local else _host(inviting.page))
    found = {address: _host(address) for address in inviting.others} | {own[0]: own[1]}
    return tuple(found.items()) if len(found) > 1 and inviting.is_local else ()


def _host(address: str) -> str:
    return address.partition("://")[2].partition("/")[0]


def _row(one: Invitation) -> Row:
    if one.name or not one.session:
        return Row(one.id, one.name or "An operator", one.session or "any session", one.expires)
    return Row(one.id, f"Link for {one.session}", MADE if one.issued else "", one.expires, one.issued)


def _problem(failure: InvitingFailure) -> str:
    did = {
        "access": "The server did not say who may be invited",
        "issue": "There is no new invitation",
        "list": "The invitations cannot be listed",
        "revoke": "It was not taken back",
    }[failure.request]
    if failure.request == "revoke" and failure.code == "unknown":
        return "It was taken back before."
    if failure.code in ("no-answer", "not-json"):
        return f"{did}: the server does not answer. Try again in a moment."
    return f"{did}: {failure.reason.rstrip('.')}."

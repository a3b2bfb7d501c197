"""Inviting the other side: the link and what is to be known of it, and the invitations that there are."""

from dataclasses import dataclass, field

from pyapp.core.inviting import Inviting, InvitingFailure
from pyapp.core.session import Session
from pyapp.protocol.access import Invitation
from pyapp.protocol.names import encoded

MOST_LISTED = 50
"""Invitations, the newest: more are for `server.py invitations`."""

COPY, REVOKE, REVOKE_NOW = "Copy link", "Revoke", "Revoke now?"
"""What buttons say; the last one until it is pressed again."""


@dataclass(frozen=True, slots=True)
class Row:
    """An invitation that is good now. `expires` is Unix time, seconds."""

    id: str
    name: str
    session: str
    expires: int

    @property
    def revocation(self) -> str:
        """What its button does, for who does not see which one it is."""
        return f"Revoke {self.name}, {self.session}"


@dataclass(frozen=True, slots=True)
class Invite:
    """The link for the other side, and the panel about it."""

    session: str = ""
    link: str = field(default="", repr=False)
    """Empty while it is not what may be given away."""
    is_settled: bool = False
    """Whether it will not become another one by itself."""
    placeholder: str = ""
    """What stands in the place of a link that is not there."""
    note: str = ""
    """For whom it is; `expires` belongs at its end, if there is one."""
    expires: int | None = None
    """Unix time, seconds."""
    notice: str = ""
    """What must be known of the address in it, or empty."""
    addresses: tuple[tuple[str, str], ...] = ()
    """To choose from: each with what it is called."""
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
    """Return the address for the other side. The invitation stands in the fragment, which is sent to no server."""
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
    if not inviting.access.addresses:
        return (
            "Nobody else can open this link: the server listens on this machine only."
            " Start it with --host 0.0.0.0, or put it behind a proxy."
        )
    without_tls = inviting.base.startswith("http:")
    return "This page's own address leads to this machine only, so the link has another one of it." + (
        " Without https, browsers there give no camera and no microphone." if without_tls else ""
    )


def _addresses(inviting: Inviting) -> tuple[tuple[str, str], ...]:
    others = inviting.access.addresses if inviting.access else ()
    own = (inviting.page, f"{_host(inviting.page)} (this machine only)" if inviting.is_local else _host(inviting.page))
    found = {address: _host(address) for address in others} | {own[0]: own[1]}
    return tuple(found.items()) if len(found) > 1 and inviting.is_local else ()


def _host(address: str) -> str:
    return address.partition("://")[2].partition("/")[0]


def _row(one: Invitation) -> Row:
    name = one.name or ("Unnamed" if one.session else "An operator")
    return Row(one.id, name, one.session or "any session", one.expires)


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

"""What relays cost, for operators, and what their budget means for the session, for whom it concerns."""

from dataclasses import dataclass
from typing import Literal

from pyapp.core.session import Session
from pyapp.protocol.signaling import Cost as Told

_WHOSE = {
    "session": "This session has used {share} of its budget for relays",
    "day": "{share} of today's budget for relays is used",
    "month": "{share} of this month's budget for relays is used",
}
"""By scope."""

_MEANS = {
    "warn": "",
    "lower": "To save some of it, the picture is sent with at most {video} kbit/s.",
    "direct": "A direct path is looked for; meanwhile the picture is sent with at most {video} kbit/s.",
    "stop": "No new relay is given: what is connected goes on, but if it breaks off, only a direct path can follow.",
}
"""By step, what is done while a relay is in use."""

_DIRECT = "The path of this session is direct, which costs nothing."


@dataclass(frozen=True, slots=True)
class Cost:
    """`step` is that of the budget, or empty."""

    step: str = ""
    notice: str = ""
    """What has become of the budget, and what is done about it, or empty."""
    figures: str = ""
    """What was relayed, and what that costs; only for operators."""


def inputs(session: Session) -> object:
    """Return what it depends on."""
    return session.call.budget.cost, session.phase, _path(session), session.relays.policy


def cost(session: Session) -> Cost:
    """Present it."""
    told = session.call.budget.cost
    if session.phase != "active":
        return Cost()
    # Whoever has a direct path need not care, unless it breaks.
    is_concerned = _path(session) == "relay" or told.step == "stop" or told.session_bytes is not None
    return Cost(told.step, _notice(session, told) if is_concerned else "", _figures(told))


def _path(session: Session) -> Literal["direct", "relay", ""]:
    report = session.connection.report if session.connection else None
    return report.path if report else ""


def _notice(session: Session, told: Told) -> str:
    if told.scope not in _WHOSE or told.step not in _MEANS:
        return ""
    tens = int(told.share * 10) * 10  # it is read aloud at each change
    whose = _WHOSE[told.scope].format(share=f"{tens}\u202f%")
    return f"{whose}. {_what_is_done(session, told)}".rstrip()


def _what_is_done(session: Session, told: Told) -> str:
    path = _path(session)
    if told.step == "stop" or path == "relay":
        looks_in_vain = told.step == "direct" and session.relays.policy == "relay"
        return _MEANS["lower" if looks_in_vain else told.step].format(video=told.video)
    return _DIRECT if path else ""


def _figures(told: Told) -> str:
    if told.session_bytes is None or told.month_bytes is None:
        return ""
    session = _amount(told.session_bytes, told.session_cost, told.currency)
    month = _amount(told.month_bytes, told.month_cost, told.currency)
    expected = "" if told.expected is None else f", about {_money(told.expected, told.currency)} by its end"
    return f"Over relays: this session {session} · this month {month}{expected}"


def _amount(count: int, cost: float | None, currency: str) -> str:
    text = size(count)
    return text if cost is None else f"{text}, {_money(cost, currency)}"


def _money(cost: float, currency: str) -> str:
    return f"{cost:,.2f} {currency}" if cost == 0 or cost >= 0.01 else f"under 0.01 {currency}"


def size(count: int) -> str:
    """Return bytes as `12 kB`, `3.4 MB`, `1.25 GB`."""
    if count < 1_000_000:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1_000_000_000 else f"{count / 1e9:,.2f} GB"

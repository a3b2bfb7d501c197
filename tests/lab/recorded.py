"""What the record says of a session that was played in the lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from backend.journal.account import Account, account
from backend.journal.reading import entries_of, latest_of, recorded
from backend.journal.schema import FILE, open_to_read
from tests.lab.expect import Leg, Path
from tests.lab.recovery_seen import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path as File

    from tests.lab.judge import Found

_WAYS = frozenset(
    {"connected-lan", "connected-direct", "connected-relay", "became-direct", "became-relay", "other-relay"}
)
"""Rules whose sentences say where the packets went from then on."""

_WANTED = "only relays were allowed."
"""A reason for a relay that says nothing of the network."""


def account_of(journal: File, session: str) -> Account:
    """Return the account of the latest session of that name. Raises `LookupError` if there is none."""
    with open_to_read(journal / FILE) as connection:
        number = latest_of(connection, session)
        found = recorded(connection, number) if number else None
    if found is None:
        raise LookupError(f"{session} was not recorded")
    return account(found)


def recorded_as(row: str, mode: Mode) -> str:
    """Return the name of the recording of a row that was played in `mode`."""
    return row if mode is Mode.NONE else f"{row}-{mode.value}"


def keep(journal: File, session: str, file: File) -> None:
    """Write what was recorded of a session to `file`, for unit tests to replay."""
    lines = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries_of(journal, session)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def misjudged(account: Sequence[tuple[str, str]], ends: Sequence[Found]) -> list[str]:
    """Compare what an account says of a session in which nothing happened with the paths by `getStats` at its end."""
    told = [(rule, *text.partition(", because ")[::2]) for rule, text in account if rule in _WAYS]
    if not told:
        return ["the account does not say how they connected"]
    rule, text, reason = told[-1]
    relays = max(end.relays for end in ends)
    legs = {end.leg.name for end in ends if end.leg is not None}
    if relays:
        said = {leg for leg in legs if f"over {leg}" in text}
        # Of one relay that either end could bring, each end selects for itself: both may select the other's, whose leg
        # they do not know.
        is_leg_right = said == legs if relays == 2 or not legs else bool(said)
        is_right = rule in ("connected-relay", "became-relay", "other-relay") and is_leg_right
    else:
        is_right = rule in ("connected-lan", "connected-direct", "became-direct")
    is_near = all(end.path is Path.HOST for end in ends)
    if any(rule == "connected-lan" for rule, *_ in told) and not is_near:
        is_right = False
    outages = [text for rule, text in account if rule.startswith("outage")]
    if rule == "connected-relay" and legs and reason != _WANTED:
        # Whose UDP is blocked has no other way to its relay, and nobody else goes to one over TCP.
        is_right = is_right and ("UDP" in reason) == any(leg != Leg.UDP.name for leg in legs)
    wrong = [] if is_right else [f"the account says: {text}{reason and f', because {reason}'}"]
    return wrong + [f"the account has an outage: {text}" for text in outages]

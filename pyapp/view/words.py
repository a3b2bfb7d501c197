"""Words that depend only on an outcome."""

COPY_REPORT = "Copy report"
COPIED, COPYING_REFUSED = "Copied", "Copying was refused"
MESSAGE_STATUS = {"sending": "Sending…", "delivered": "Delivered"}
"""By the `data-status` of one's own messages."""

COPY_DIAGNOSTICS = "Copy diagnostics"
MARKS = {">": "sent", "<": "received", "=": "state", "!": "trouble"}
"""What the marks of the log mean."""


def diagnostics_title(session: str, at: str) -> str:
    """Return the first line of the copied diagnostics; `at` is the time."""
    return f"ICE Console, session {session or '(none)'}, {at}"

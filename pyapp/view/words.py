"""Words that depend only on an outcome."""

COPIED, COPYING_REFUSED = "Copied", "Copying was refused"
MESSAGE_STATUS = {"sending": "Sending…", "delivered": "Delivered"}
"""By the `data-status` of one's own messages."""

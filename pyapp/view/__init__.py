"""From the core's state to plain strings: what the page shows."""

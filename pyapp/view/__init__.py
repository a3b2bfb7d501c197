"""From the core to plain strings: what the page shows."""

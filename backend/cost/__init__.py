"""What the relays cost, and what is done before they cost too much."""

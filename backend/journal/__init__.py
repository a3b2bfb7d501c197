"""What happened in a session, written down."""

"""The journals of the sessions."""

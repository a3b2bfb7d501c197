"""The way to the peer through the server."""

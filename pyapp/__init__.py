"""The console: the Python that runs in the page, and the vocabulary that it shares with the server."""

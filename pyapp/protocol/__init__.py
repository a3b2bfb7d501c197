"""The wire formats, shared by the server and the page. It uses only the standard library."""

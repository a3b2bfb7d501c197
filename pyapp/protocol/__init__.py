"""What goes over a wire: all that the server shares with the page. The standard library alone."""

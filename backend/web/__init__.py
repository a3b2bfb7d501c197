"""HTTP: the page, what it is made of, and the routes."""

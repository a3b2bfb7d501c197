"""HTTP: the page, its assets, and the routes."""

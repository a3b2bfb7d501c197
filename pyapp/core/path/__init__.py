"""The path between the two pages: how it is found, monitored and restored."""

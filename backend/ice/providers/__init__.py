"""TURN providers: `[[provider]]` in the configuration file, the requests to them, and their answers."""

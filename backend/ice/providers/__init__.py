"""TURN providers: `[[provider]]` in the configuration file, what is said to them, what they answered."""

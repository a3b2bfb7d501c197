"""Events in, commands out: no clock, no randomness, no browser, no words for people."""

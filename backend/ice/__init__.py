"""Which ICE servers a page gets, and a relay of our own."""

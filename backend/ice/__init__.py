"""Which ICE servers a page gets, and our own relay."""

"""What happened, as facts: the journal, the path, statistics."""

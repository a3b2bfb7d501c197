"""Sessions, and the frames that two pages exchange through the server."""

"""The path between the two pages: found, watched, mended."""

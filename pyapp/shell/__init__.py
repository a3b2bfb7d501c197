"""The loop around the core: asyncio, no browser."""

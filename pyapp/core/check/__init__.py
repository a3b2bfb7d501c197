"""The check of the network: what a connection from here would find, asked of every server before it is needed."""

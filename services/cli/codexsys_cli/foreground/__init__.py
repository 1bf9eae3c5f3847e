"""`codexsys run`: one task in the foreground, without a server."""

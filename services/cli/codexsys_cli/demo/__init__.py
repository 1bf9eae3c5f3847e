"""A whole task on a sample repository, offline, in the terminal."""

"""The typed client of the API; it stands alone."""

"""The service behind every door."""

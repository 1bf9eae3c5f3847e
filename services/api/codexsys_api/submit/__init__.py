"""From a request to a stored task."""

"""REST, pages, live streams and share links."""

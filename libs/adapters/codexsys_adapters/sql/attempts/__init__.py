"""Attempts, each held by one owner at a time: claims, endings, takeovers, and the sandboxes and checkpoints of owners."""

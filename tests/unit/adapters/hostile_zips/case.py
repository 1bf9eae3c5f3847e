"""What a hostile zip is to tests."""

Case = tuple[bytes, str]
"""A zip, and words of the sentence that refuses it."""

"""Claims attempts and sees them through."""

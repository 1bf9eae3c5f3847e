"""One entry per technology; each satisfies ports of the core."""

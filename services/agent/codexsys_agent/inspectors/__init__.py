"""What looks at changed files once the checks are over: does it parse, and what say the repository's own tools."""

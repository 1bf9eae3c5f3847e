"""Tasks: made, found, read and deleted; `store` is what their owners use."""

"""What a task and its people say to each other."""

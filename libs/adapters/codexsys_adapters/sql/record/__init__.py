"""What is kept of tasks: events, logs and files, and the links that show them."""

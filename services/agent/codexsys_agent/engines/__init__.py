"""What drives the work: a model in our loop, or a given script."""

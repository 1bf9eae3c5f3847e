"""What is known about each test runner: how its plain calls are recognised, reported and given a planted test."""

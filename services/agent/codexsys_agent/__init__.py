"""Runs inside the sandbox, drives an engine and reports to its door."""

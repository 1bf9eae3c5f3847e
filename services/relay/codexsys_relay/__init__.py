"""Looks after rows that wait, and sends results out."""

"""Sandboxes on this machine: bubblewrap, kept by a supervisor that outlives the worker.

Everything but `backend` and `probe` runs with the standard library alone, from a bare
interpreter, so that a supervisor is there in a few milliseconds.
"""

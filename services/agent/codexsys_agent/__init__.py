"""The program that works inside a sandbox: standard library only."""

__version__ = "0.1.0"

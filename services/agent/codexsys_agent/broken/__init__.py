"""Tests made to fail, a module for each language."""

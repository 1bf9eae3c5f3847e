"""What sandboxes of every backend are closed with: the door, rules of an online phase, banned calls.

All of it runs with the standard library alone: parts of it run inside, from a bare interpreter.
"""

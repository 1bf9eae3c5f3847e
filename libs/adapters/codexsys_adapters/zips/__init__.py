"""Zips: one strict reader checks and unpacks them, in a child with limits and without network.

Nothing is imported here: the child starts once for each zip, and would pay for all of it.
"""

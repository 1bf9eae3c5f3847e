"""Sandboxes as containers of a Docker engine on this host; they outlive the worker by themselves.

A phase is a container of the wanted image. Its first process is `inside/init.py`, which a read-only
bundle brings along with an interpreter of its own: it bounds the phase's output and time, reaps
its processes, and says how it ended. What an agent reaches is a second container, the door, in
whose network namespace the phase runs; what setup reaches is decided by a third, the gate.
"""

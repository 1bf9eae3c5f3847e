"""No sandbox: each phase is a user of its own with an environment of its own, and nothing else holds it.

For a task alone in a container that lets nobody make a sandbox. A phase's user differs from sandbox
to sandbox, it has no capability and no way to get one, its processes are all killed when the phase
ends, and what it left in shared folders is removed. Network, memory and disk are not held, and it
may read what any user of the machine may read.
"""

from codexsys_adapters.bare.backend import BareBackend

__all__ = ["BareBackend"]

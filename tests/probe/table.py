"""All attempts, in the order in which they are tried and listed."""

from tests.probe import calls, door, files, leftovers, network, processes, rights

GROUPS = {
    "What an earlier phase or task left": leftovers.TABLE,
    "Files": files.TABLE,
    "Processes and /proc": processes.TABLE,
    "Rights": rights.TABLE,
    "System calls": calls.TABLE,
    "Network": network.TABLE,
    "The door": door.TABLE,
}
ATTEMPTS = [attempt for table in GROUPS.values() for attempt in table.attempts]

"""A sandbox that isolates nothing and runs nothing: a steerable stand-in, told by `DUMMY_*`.

Each phase is a real detached process that outlives the worker, but it never runs the phase's
program. A phase's variables say what it does (`DUMMY_<PHASE>_X` before `DUMMY_X`, where PHASE is
the name up to its first `-`, in capitals):

- `DUMMY_DELAY`: seconds before it ends; `DUMMY_EXIT`: its exit code
- `DUMMY_CHATTER`: so many numbered lines of output
- `DUMMY_OOM=1`: it ends with `out_of_memory`; `DUMMY_END=<reason>`: with any other reason
- `DUMMY_OOM_CHILD=1`: some process of it was killed for memory, though it ends by itself
- `DUMMY_START_FAILURE=1`: `start` raises `SandboxError`; `DUMMY_BUG=1`: an error of no known kind
- `DUMMY_PATCH`: the patch that a collect phase gives back, also when an earlier phase had it
- `DUMMY_ASK`: a JSON list of questions (`{"text", "options", "default"}`) that the agent asks, one at a
  time: it ends waiting for an answer until the brief has as many answers as there are questions
- `DUMMY_COLLECT`: a JSON object of name → text, members beside it (`output/answer.md`, …)

An image `refused/<code>` is one that `create` refuses with `SandboxError` of that code.
A phase called `collect…` answers with a tar stream as the collector does.
"""

from codexsys_adapters.dummy.backend import DummyBackend

__all__ = ["DummyBackend"]

"""Sandboxes as Jobs of a Kubernetes cluster: one pod each, which outlives the worker by itself.

A pod goes through stages, each a container whose first process runs the phases that it is given:
`workspace` without a network, `setup` behind rules that let public addresses through, and, once the
network is closed for good, `agent`, `reader` and `collector` beside each other, which differ in what
they may write. The `keeper`, a sidecar, hands phases on to them and keeps what they said; the worker
speaks to it, and to nothing else, through `exec`. The `door`, another sidecar, alone holds the token.
"""

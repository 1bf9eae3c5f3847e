"""The one checked way out: every address is looked up, checked and then connected to as checked."""

from codexsys_adapters.outbound.addresses import denied
from codexsys_adapters.outbound.failure import OutboundFailure
from codexsys_adapters.outbound.target import Target
from codexsys_adapters.outbound.way import Outbound

__all__ = ["Outbound", "OutboundFailure", "Target", "denied"]

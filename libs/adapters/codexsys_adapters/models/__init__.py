"""Upstreams of model calls, through the platform's one checked way out."""

from codexsys_adapters.models.chat import ChatModels
from codexsys_adapters.models.connection import Endpoint
from codexsys_adapters.models.messages import VERSION, MessagesModels

__all__ = ["VERSION", "ChatModels", "Endpoint", "MessagesModels"]

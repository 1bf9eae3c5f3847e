"""A typed client of the REST API; it needs nothing else of this project."""

from codexsys_client.client import Client
from codexsys_client.errors import ApiError, ClientError, Unreachable
from codexsys_client.types import Artifact, Event, LogChunk, Share, Task, TaskList

__all__ = [
    "ApiError",
    "Artifact",
    "Client",
    "ClientError",
    "Event",
    "LogChunk",
    "Share",
    "Task",
    "TaskList",
    "Unreachable",
]

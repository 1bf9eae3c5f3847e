"""A typed client of the REST API, to be called or awaited; it needs nothing else of this project."""

from codexsys_client.async_client import AsyncClient
from codexsys_client.client import Client
from codexsys_client.errors import ApiError, ClientError, StoreAway, Unreachable
from codexsys_client.streams import Patience
from codexsys_client.types import (
    Artifact,
    Attempt,
    DayUsage,
    Environment,
    EnvironmentList,
    Event,
    Key,
    KeyList,
    LogChunk,
    Message,
    MessageList,
    Question,
    Share,
    ShareList,
    Task,
    TaskList,
    TasksUsage,
    UsageReport,
    ValueUsage,
)

__all__ = [
    "ApiError",
    "Artifact",
    "AsyncClient",
    "Attempt",
    "Client",
    "ClientError",
    "DayUsage",
    "Environment",
    "EnvironmentList",
    "Event",
    "Key",
    "KeyList",
    "LogChunk",
    "Message",
    "MessageList",
    "Patience",
    "Question",
    "Share",
    "ShareList",
    "StoreAway",
    "Task",
    "TaskList",
    "TasksUsage",
    "Unreachable",
    "UsageReport",
    "ValueUsage",
]

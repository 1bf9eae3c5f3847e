"""Fetchers for tests, and what is seen of their work."""

from pathlib import Path

from codexsys_adapters.git import FetchLimits, GitFetcher
from codexsys_adapters.outbound import Outbound

LOOPBACK = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)


def fetcher(
    folder: Path, outbound: Outbound = LOOPBACK, limits: FetchLimits | None = None
) -> GitFetcher:
    return GitFetcher(outbound=outbound, data_dir=folder, limits=limits)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

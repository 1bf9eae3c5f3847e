"""Git: bases fetched over HTTP, and patches applied to them in an index only."""

from codexsys_adapters.git.bench import GitPatchBench
from codexsys_adapters.git.fetcher import FetchLimits, GitFetcher

__all__ = ["FetchLimits", "GitFetcher", "GitPatchBench"]

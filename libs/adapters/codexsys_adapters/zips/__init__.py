"""Zips: one strict reader checks and unpacks them, in a child with limits and without network."""

from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.rules import ZipLimits

__all__ = ["ZipLimits", "Zips"]

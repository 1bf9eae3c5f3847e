"""The object store in a folder."""

from codexsys_adapters.files.links import FileLinks
from codexsys_adapters.files.objects import FileObjects

__all__ = ["FileLinks", "FileObjects"]

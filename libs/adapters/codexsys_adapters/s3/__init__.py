"""The object store on S3."""

from codexsys_adapters.s3.objects import S3Objects

__all__ = ["S3Objects"]

"""A certificate authority of a test's own, and certificates by it, made with openssl."""

import subprocess
from pathlib import Path

_ENV = {"PATH": "/usr/bin:/bin"}


def make_authority(folder: Path) -> tuple[Path, Path]:
    """Return (certificate, key) of a new authority."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "ca.pem", folder / "ca.key"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=Ours"),
    )
    return certificate, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], env=_ENV, check=True, capture_output=True, timeout=30)

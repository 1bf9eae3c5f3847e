"""Lays down what the stages stand on: the bundle, the sandbox's folders, and who is who."""

import os
import shutil
from pathlib import Path

_BUNDLE, _COPY, _FILES = Path("/opt/codexsys"), Path("/bundle"), Path("/files")
_FOLDERS = ("code", "output", "home")


def main() -> None:
    """Lay it down; the folders belong to the user that we are."""
    user, group = os.getuid(), os.getgid()
    etc = {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\nsandbox:x:{user}:{group}::/app/home:/bin/sh\n",
        "group": f"root:x:0:\nsandbox:x:{group}:\n",
        "ld.so.preload": "",
    }
    (_COPY / "etc").mkdir(exist_ok=True)
    for name, text in etc.items():
        (_COPY / "etc" / name).write_text(text)
    for name in _FOLDERS:
        (_FILES / name).mkdir(exist_ok=True)
    shutil.copytree(_BUNDLE, _COPY / "codexsys", symlinks=True, dirs_exist_ok=True)


if __name__ == "__main__":
    main()

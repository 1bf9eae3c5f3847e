"""Lists of networks come from the environment as people write them."""

import subprocess
import sys

_SHOW = """
from codexsys_wiring.settings import load_settings
settings = load_settings()
print(settings.allow_networks, settings.setup_networks)
"""


def test_networks_are_separated_by_commas() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW],
        env={
            "HOME": "/nonexistent",
            "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8, 10.0.0.0/8",
            "CODEXSYS_SETUP_NETWORKS": "10.1.2.3/32:443",
        },
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert shown.stdout.decode().strip() == "['127.0.0.0/8', '10.0.0.0/8'] ['10.1.2.3/32:443']"

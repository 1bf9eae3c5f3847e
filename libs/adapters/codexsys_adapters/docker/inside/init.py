"""The first process of a phase's container: `init.py PLAN`."""

import json
import sys
from pathlib import Path

from codexsys_adapters.walls.init import Init

if __name__ == "__main__":
    Init(json.loads(Path(sys.argv[1]).read_text())).run()

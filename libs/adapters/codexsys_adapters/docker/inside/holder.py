"""Holds a network namespace until the deadline: `holder.py ENDS_AT`."""

import os
import signal
import sys
import time

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    time.sleep(max(0.0, float(sys.argv[1]) - time.time()))

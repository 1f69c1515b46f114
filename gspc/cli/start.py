"""Where the process of a command begins. Loads nothing, so that Ctrl-C is one line from the first moment."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line and returns its exit code."""
    try:
        from gspc.cli.app import main as run
    except KeyboardInterrupt:  # loading takes some tenths of a second, in which nothing has begun
        sys.stderr.write("gspc: interrupted\n")
        return 130
    return run()

"""`python -m gspc` is `gspc`."""

import sys

from gspc.cli.start import main

if __name__ == "__main__":
    sys.exit(main())

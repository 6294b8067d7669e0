"""`python -m mimbench`."""

import sys

from mimbench.cli import main

if __name__ == "__main__":
    sys.exit(main())

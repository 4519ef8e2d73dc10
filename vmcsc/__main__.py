"""`python -m vmcsc`."""

from __future__ import annotations

import sys

from vmcsc.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Starts the Actor. The platform runs this file as a program, in its own folder.

The rest is an ordinary package with relative imports, so the folder above has to be importable first.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder.parent))
    sys.exit(importlib.import_module(f"{folder.name}.actor").main())

"""The demo Actor `pydoc-crawler`: crawls Python's own documentation server. `main.py` starts it."""

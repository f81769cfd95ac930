"""Runrelay's own processes, put together as its commands do, with a way to be told when to begin."""

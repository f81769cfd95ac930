"""Real servers that come as Python wheels, for the demo and the tests: each in a folder of its own, on a free port."""

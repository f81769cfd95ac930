"""How fast Runrelay is beside what people would write themselves: `make bench`, or `python -m benchmarks --help`."""

"""Real processes, real faults, one history, and a checker that reads it afterwards: `make faults`."""

"""`runrelay demo`: the whole job once, with real parts, on this machine alone."""

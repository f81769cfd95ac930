"""Whether a webhook is from who it says it is, for every source alike. No I/O."""

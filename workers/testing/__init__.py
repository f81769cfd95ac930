"""What every sink and every source promises, as tests, for ours and for those of others."""

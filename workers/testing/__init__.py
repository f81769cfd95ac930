"""What every sink promises, as tests, for ours and for those of others."""

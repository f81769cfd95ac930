"""What the APIs of platforms have in common, and every source may build on. No I/O."""

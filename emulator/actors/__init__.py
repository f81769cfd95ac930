"""Programs that come with the emulator: one folder each, described by its `actor.yaml`."""

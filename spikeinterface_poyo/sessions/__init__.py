"""Sessions, signals and samples: what is recorded and what is learned from it, as plain data."""

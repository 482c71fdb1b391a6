"""What users hand in, from any of the packages that they use, as sessions, signals and epochs."""

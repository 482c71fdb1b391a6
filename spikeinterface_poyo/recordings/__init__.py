"""Recordings to try things on: one that is real, and made-up ones."""

"""Data sets: which files there are, whose they are, and what each of them shows."""

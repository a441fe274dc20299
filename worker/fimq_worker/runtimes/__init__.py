"""Runtimes: what computes a model's scores. The promise in `base`, an engine a file."""

"""Fitting: batches in, weights out."""

"""Calibration: what a score means, and from where on a policy may act."""

"""Training: manipulations, degradations, fit, export."""

"""Export: from weights to a package that a worker can load."""

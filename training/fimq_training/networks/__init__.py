"""Networks: what is fitted, and the weights that a fit starts from."""

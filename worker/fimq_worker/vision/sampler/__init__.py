"""The sampler: which pictures of a film are looked at, and how few are decoded for them."""

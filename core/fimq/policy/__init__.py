"""From scores to a verdict: pooling and rules. Pure functions, recomputable from the ledger."""

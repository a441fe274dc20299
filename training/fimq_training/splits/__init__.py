"""Splits: which crops are fitted on, chosen by, and measured on; and what a split leaks."""

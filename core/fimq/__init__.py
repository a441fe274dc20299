"""What every part of fimq speaks: settings, errors, logs, ledger, store, policy, models."""

__version__ = "0.1.0"

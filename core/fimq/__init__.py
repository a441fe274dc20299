"""What every part of fimq speaks: settings, errors, logs, ledger, store, policy, models."""

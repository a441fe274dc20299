"""The embedded default: a private queue and worker for who has nothing else installed."""

"""The store: where the bytes of videos lie."""

"""Models: the face models that are fetched at set-up, and the packages that judge faces."""

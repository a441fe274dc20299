"""Recipes: files that say how a model is made, and the room that reads them."""

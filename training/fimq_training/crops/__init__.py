"""Crops: the faces of a data set as a model is served them, and the table that names them."""

"""Manipulations: pseudo-fakes of our own, and what codecs and cameras do to real and forged."""

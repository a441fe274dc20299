"""Servers that tests start for themselves: the real ones, on this machine, for one test."""

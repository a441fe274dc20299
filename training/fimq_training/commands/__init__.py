"""The commands of training, under `fimq train`."""

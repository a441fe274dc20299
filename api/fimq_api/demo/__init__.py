"""The demo: clips made on the spot from free pictures, and one manipulated by ourselves."""

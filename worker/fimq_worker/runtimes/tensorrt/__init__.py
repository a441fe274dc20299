"""TensorRT, of two packages: `tensorrt` for every NVIDIA card, `tensorrt-rtx` for RTX cards.

`flavour` tells them apart. `half` rewrites a network for half precision, `building` makes an
engine of it, `key` says what that engine is for and `cache` keeps it. `device` is CUDA,
`execution` computes, and `runtime` puts these together as a Runtime.
"""

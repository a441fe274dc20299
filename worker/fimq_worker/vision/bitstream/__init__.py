"""Bitstreams: what each codec's packets say about which pictures depend on which.

Container flags are not believed: `disposable` is unset on real H.264, and muxers differ in
what they mark as key. One room a codec; each reads packet headers only, never pixels.
"""

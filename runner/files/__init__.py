"""The HDF5 layout of the contract: challenge, truth and result files, read and written.

A room of its own, below `algorithms` and above the rest of the runner: the container, the tiers
and the scorer share one reader, and the scorer must not import any algorithm.
"""

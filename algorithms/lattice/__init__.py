"""Two-dimensional crystals: finding a lattice, its structure factors, its cell, and tiling it."""

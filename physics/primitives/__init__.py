"""The benchmark's eleven primitives as operators, and forward models made of them.

Nothing is imported here, so that a part can be had without the others: `base` (what a primitive
is), `filters` (P, C), `electrons` (P(e-)), `masks` (M, S, Lambda, Sigma), `projection` (Pi),
`fourier` (F), `resampling` (R, W), `detector` (D), `graph` (joined), `build` (from a notation).
"""

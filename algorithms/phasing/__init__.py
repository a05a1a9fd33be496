"""Phases from magnitudes: the crystallographer's problem, for a 2-D image on a periodic grid.

The image is real, non-negative and made of atoms; of its Fourier coefficients the magnitudes are
known, most of them, and no phase. Origin and hand (the image turned by 180 degrees, its twin) can
never be told from magnitudes: `align` settles them against a reference.

- `dual_space`: charge flipping and relaxed reflections (RRR), which go to and fro between the
  magnitudes and the atoms;
- `statistics`: normalised structure factors E;
- `tangent`: triplet relations and the tangent formula, direct methods as they were first;
- `align`: origin and hand.

Plain numpy. Every source of randomness is given by the caller.
"""

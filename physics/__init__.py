"""The physics of a 4D-STEM measurement: geometry, optics, forward operator, noise.

Nothing is imported here, so that reading a file's records does not load torch.
"""

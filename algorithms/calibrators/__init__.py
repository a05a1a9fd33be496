"""Calibrators: they find camera length, centre and ellipse of the detector."""

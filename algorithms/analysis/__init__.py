"""Analyses: what a scan tells beside the image x_hat, as maps over the scan."""

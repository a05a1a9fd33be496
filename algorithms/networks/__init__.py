"""Networks of the learned reconstructors, and what they are given; no sample, no file in it."""

"""Reconstructors: they make the specimen's image for a known detector geometry."""

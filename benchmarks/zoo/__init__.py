"""Every built-in algorithm on every tier, beside the published rows."""

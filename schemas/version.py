"""The one place where stem4d's own version is written; pyproject and the image's labels read it."""

__version__ = "0.1.0"

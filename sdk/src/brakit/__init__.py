"""See what a Python backend really does."""

__version__ = "0.2.0"

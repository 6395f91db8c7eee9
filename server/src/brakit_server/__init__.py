"""The brakit server: ingest, store, analysis, API and dashboard in one local process."""

__version__ = "0.2.0"

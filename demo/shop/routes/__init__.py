"""The shop's routes, by topic."""

"""The shop: an API that sells outdoor gear."""

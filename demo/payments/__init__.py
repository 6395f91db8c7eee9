"""The payments service: takes cards, gives refunds."""

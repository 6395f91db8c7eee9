"""Repeatable comparisons. Every figure is a ratio or a difference against a baseline of the same run; `make bench` prints all."""

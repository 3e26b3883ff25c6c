"""Decisions: values in, a value out. Nothing here reads a file, a clock or an environment."""

"""Placeholder docstring: see the package README."""

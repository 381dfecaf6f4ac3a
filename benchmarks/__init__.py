"""Measurements, each a module run with python -m; none is needed by a test."""

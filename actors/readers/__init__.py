"""Reads files into text, each in a process of its own. Knows no store and no HTTP."""

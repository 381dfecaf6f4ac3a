"""Starts, joins and stops Ray, with its token and dashboard on loopback."""

"""Trainings that were asked for: their records, their files, their processes."""

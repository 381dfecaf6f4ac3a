"""What changes weights, and what judges the change."""

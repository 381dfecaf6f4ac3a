"""One door to each way of generating text."""

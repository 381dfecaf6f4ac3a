"""vLLM in this process: the one door to it."""

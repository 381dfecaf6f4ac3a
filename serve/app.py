"""The Ray Serve graph: the same FastAPI application as serve.local, in Serve replicas."""

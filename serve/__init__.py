"""What users reach: HTTP, WebSocket and the Ray Serve graph."""

"""`pal demo`."""


def demo() -> None:
    """Not built yet."""
    raise NotImplementedError

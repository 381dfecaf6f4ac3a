"""`pal ask`."""


def ask() -> None:
    """Not built yet."""
    raise NotImplementedError

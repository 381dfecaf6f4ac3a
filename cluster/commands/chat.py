"""`pal chat`."""


def chat() -> None:
    """Not built yet."""
    raise NotImplementedError

"""`pal up`, `pal down` and `pal status`."""


def up() -> None:
    """Not built yet."""
    raise NotImplementedError


def down() -> None:
    """Not built yet."""
    raise NotImplementedError


def status() -> None:
    """Not built yet."""
    raise NotImplementedError

"""What is wrong with a setting. Imports nothing, so that a command can catch it cheaply."""


class SettingsError(ValueError):
    """A setting is unknown or has a wrong value; the message names it, its source and what would do."""

"""Model files, templates and modules: the one place where a name becomes a model."""

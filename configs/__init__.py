"""What can be set: the schema, its loader and the shipped presets."""

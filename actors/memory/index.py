"""The vector cache: the one door to Chroma, rebuilt from stored vectors whenever it is lost."""

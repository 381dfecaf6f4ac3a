"""Holds one partition of documents and memories; the only opener of its files. Knows no model and no HTTP."""

from actors.memory.document_keeper import DocumentKeeper
from actors.memory.learning_keeper import LearningKeeper
from actors.memory.memory_keeper import MemoryKeeper


class Keeper(DocumentKeeper, MemoryKeeper, LearningKeeper):
    """Documents and memories of many users, each seen by its own user alone."""

"""How many dimensions the vectors of a database have: the first ones decide. Knows no model."""

import sqlite3

import numpy as np

from actors.memory.vectors import Vectors
from actors.messages import InvalidRequest


def check(connection: sqlite3.Connection, vectors: Vectors, texts: int) -> None:
    """Raises InvalidRequest unless there is a finite vector a text, as wide as those stored before."""
    if vectors.ndim != 2 or len(vectors) != texts:
        raise InvalidRequest(f"{texts} texts need as many vectors, not shape {vectors.shape}")
    if not len(vectors):
        return
    if not np.isfinite(vectors).all():
        raise InvalidRequest("a vector has a value that is not a number")
    width = str(vectors.shape[1])
    connection.execute("INSERT OR IGNORE INTO facts VALUES ('dimensions', ?)", (width,))
    row = connection.execute("SELECT value FROM facts WHERE name = 'dimensions'").fetchone()
    if row["value"] != width:
        raise InvalidRequest(
            f"the stored vectors have {row['value']} dimensions and the new ones {width}: use the embedding "
            "model that was used before, or start with an empty directory"
        )


def check_query(connection: sqlite3.Connection, vector: Vectors) -> None:
    """Raises InvalidRequest unless a question's vector is as wide as those stored."""
    row = connection.execute("SELECT value FROM facts WHERE name = 'dimensions'").fetchone()
    if row is not None and np.shape(vector) != (int(row["value"]),):
        raise InvalidRequest(
            f"the stored vectors have {row['value']} dimensions and the query's has {np.shape(vector)}: "
            "use the embedding model that was used before, or add everything again"
        )

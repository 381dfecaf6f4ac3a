"""Batches of token ids from sources: drawn, packed, and the very same again after a resume. Knows no torch.

Legend: B sequences of a batch, T tokens of a sequence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest
from actors.models.tokenizer import ModelTokenizer
from configs.training import DataSource, LongContextTraining
from tune.corpus import Corpus, Origin, Watch, open_corpus

IGNORED = -100
PADDING = -1
WAITING = 64
"""Documents drawn ahead, of which the largest that fits is packed next."""
BLOCK = 1024
"""Draws of a source that are made at once."""
Position = dict[str, Any]
"""Where a stream stands: a small JSON value."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of one length, as int64 [B, T] each. No document may see another one.

    Padding at a sequence's end counts its positions from 0 as a document does, and is never learned.
    """

    tokens: NDArray[np.int64]
    labels: NDArray[np.int64]
    """The token itself, not shifted, or -100 where it is not learned, as each document's first."""
    positions: NDArray[np.int64]
    """From 0 in each document, or in each piece of a long one; with a gap where they are spread."""
    segments: NDArray[np.int64]
    """The document of each token, from 0 in each sequence; -1 is padding."""

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return int((self.labels != IGNORED).sum())


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document of a corpus."""

    corpus: int
    begin: int
    end: int
    """Both count in the corpus's tokens."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the batches of one replica look like; `batch` counts the sequences of all replicas."""

    batch: int
    length_at: Callable[[int], int]
    """Tokens of the sequences of a pass, counted from 0."""
    packing: bool = True
    reach: int = 0
    """Positions that documents are spread over; 0 leaves them as they are."""
    plain: float = 0.0
    """Share of the documents that are not spread."""
    replica: int = 0
    replicas: int = 1


def stream(
    training: LongContextTraining,
    sources: Sequence[DataSource],
    tokenizer: ModelTokenizer,
    cache: Path,
    *,
    vocabulary: int,
    home: Path,
    partitions: int = 1,
    seed: int | None = None,
    replica: int = 0,
    spread: bool = True,
    watch: Watch | None = None,
) -> "Stream":
    """The stream that a training asks for, for one of its replicas; not `spread`, with positions as they are.

    `vocabulary` is the model's; `home` and `partitions` are the settings' home and memory.partitions.
    Raises what `open_corpus` raises, and InvalidRequest without a source.
    """
    if not sources:
        raise InvalidRequest("there is nothing to train on: name sources under data")
    seed = training.seed if seed is None else seed
    lengths = tuple(sorted({training.length, *(stage.length for stage in training.curriculum)}))
    origin = Origin(tokenizer, vocabulary, lengths, seed, home, partitions)
    shape = Shape(
        batch=training.batch,
        length_at=lambda number: training.length_at(number // training.accumulate),
        packing=training.packing,
        reach=(training.rope.reach or 0) if spread else 0,
        plain=training.rope.plain,
        replica=replica,
        replicas=training.replicas,
    )
    corpora = [open_corpus(source, origin, cache, watch) for source in sources]
    weights = [source.weight for source in sources]
    return Stream(corpora, weights, shape, seed, tokenizer.eos_id or 0)


class Stream:
    """Endless batches of corpora: a function of them, their weights, the shape and the seed.

    Every replica decides what all sequences hold, and fills its own; so their number may change on resume.
    """

    def __init__(
        self, corpora: Sequence[Corpus], weights: Sequence[float], shape: Shape, seed: int, padding: int
    ) -> None:
        self._corpora = tuple(corpora)
        self._shares = np.cumsum(weights) / np.sum(weights)
        self._shape = shape
        self._seed = seed
        self._padding = padding
        self._order = lru_cache(2 * len(self._corpora))(self._ordered)
        self._block = lru_cache(2)(self._drawn)

    @property
    def key(self) -> str:
        """What a position belongs to: the corpora in their order, and the seed."""
        return "-".join([str(self._seed), *(corpus.key[:12] for corpus in self._corpora)])

    def batches(self, start: Position | None = None) -> Iterator[tuple[Batch, Position]]:
        """Each batch and the position behind it: to go on from there gives the same batches as going on.

        Raises InvalidRequest for a position in other data, and where no document fits into a sequence.
        """
        if start is not None and start["data"] != self.key:
            raise InvalidRequest(
                "the data is not that of the checkpoint: a source, the tokenizer, the seed or the lengths of "
                "made-up tasks have changed; resume with the same, or train anew"
            )
        packer = _Packer(self, start)
        while True:
            length = self._shape.length_at(packer.number)
            rows = [packer.row(length, self._shape.packing) for _ in range(self._shape.batch)]
            packer.number += 1
            share = self._shape.batch // self._shape.replicas
            first = self._shape.replica * share
            batch = self._filled(rows[first : first + share], length)
            for row in range(share if self._shape.reach else 0):
                draw = np.random.default_rng((self._seed, 2, packer.number, first + row))
                spread(batch, row, self._shape.reach, self._shape.plain, draw)
            yield batch, packer.position()

    def draw(self, number: int, drawn: Sequence[int]) -> tuple[int, int]:
        """Which corpus a draw is of, and its next document, after `drawn` documents of each."""
        corpus = int(self._block(number // BLOCK)[number % BLOCK])
        count = len(self._corpora[corpus])
        turn, place = divmod(drawn[corpus], count)
        return corpus, int(self._order(corpus, turn)[place])

    def piece(self, corpus: int, document: int) -> Piece:
        """A whole document."""
        begin, end = self._corpora[corpus].starts[document : document + 2]
        return Piece(corpus, int(begin), int(end))

    def fits(self, piece: Piece, length: int) -> bool:
        """Whether a sequence can hold it, or it can be cut."""
        return piece.end - piece.begin <= length or not self._corpora[piece.corpus].whole

    @property
    def documents(self) -> int:
        """Of all corpora."""
        return sum(map(len, self._corpora))

    @property
    def names(self) -> str:
        """Of all corpora."""
        return ", ".join(corpus.name for corpus in self._corpora)

    @property
    def corpora(self) -> int:
        """How many."""
        return len(self._corpora)

    def _drawn(self, block: int) -> NDArray[np.intp]:
        draws = np.random.default_rng((self._seed, 0, block)).random(BLOCK)
        return np.searchsorted(self._shares, draws, side="right").clip(max=len(self._corpora) - 1)

    def _ordered(self, corpus: int, turn: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, 1, corpus, turn)).permutation(len(self._corpora[corpus]))

    def _filled(self, rows: Sequence[Sequence[Piece]], length: int) -> Batch:
        shape = (len(rows), length)
        tokens = np.full(shape, self._padding, np.int64)
        labels = np.full(shape, IGNORED, np.int64)
        positions = np.tile(np.arange(length, dtype=np.int64), (len(rows), 1))
        segments = np.full(shape, PADDING, np.int64)
        for row, pieces in enumerate(rows):
            at = 0
            for number, piece in enumerate(pieces):
                corpus, size = self._corpora[piece.corpus], piece.end - piece.begin
                here = slice(at, at + size)
                tokens[row, here] = corpus.tokens[piece.begin : piece.end]
                learned = corpus.learned[piece.begin : piece.end]
                labels[row, here] = np.where(learned, tokens[row, here], IGNORED)
                labels[row, at] = IGNORED
                segments[row, here] = number
                at += size
                positions[row, at:] = np.arange(length - at)
                positions[row, here] = np.arange(size)
        return Batch(tokens, labels, positions, segments)


def spread(batch: Batch, row: int, reach: int, plain: float, draw: np.random.Generator) -> None:
    """Move the positions of each document of a row, in place: those behind a random place, by a random skip.

    The last position stays below `reach`; a share `plain` of the documents is left as it is.
    """
    segments = batch.segments[row]
    for number in range(int(segments.max(initial=PADDING)) + 1):
        begin, end = np.searchsorted(np.where(segments < 0, len(segments), segments), (number, number + 1))
        cut, skip, stays = draw.random(3)
        room = reach - (end - begin)
        if stays >= plain and end - begin > 1 and room > 0:
            at = begin + 1 + int(cut * (end - begin - 1))
            batch.positions[row, at:end] += int(skip * (room + 1))


class _Packer:
    """What is drawn and not yet in a sequence."""

    def __init__(self, stream: Stream, start: Position | None) -> None:
        self._stream = stream
        self.number = start["number"] if start else 0
        self._draws: int = start["draws"] if start else 0
        self._drawn: list[int] = list(start["drawn"]) if start else [0] * stream.corpora
        self._waiting = [Piece(*piece) for piece in start["waiting"]] if start else []

    def position(self) -> Position:
        """All that the next sequences depend on."""
        return {
            "data": self._stream.key,
            "number": self.number,
            "draws": self._draws,
            "drawn": list(self._drawn),
            "waiting": [[piece.corpus, piece.begin, piece.end] for piece in self._waiting],
        }

    def row(self, length: int, packing: bool) -> list[Piece]:
        """The pieces of the next sequence: the one that has waited longest, then the largest that fit.

        A text longer than the sequence is cut, and its rest waits again; a longer chat is passed over.
        """
        self._draw(length)
        pieces = [self._first(length)]
        room = length - _size(pieces[0])
        while packing and room > 1:
            self._draw(length)
            fitting = [number for number, piece in enumerate(self._waiting) if _size(piece) <= room]
            if not fitting:
                break
            best = max(fitting, key=lambda number: (_size(self._waiting[number]), -number))
            pieces.append(self._waiting.pop(best))
            room -= _size(pieces[-1])
        return pieces

    def _first(self, length: int) -> Piece:
        piece = self._waiting.pop(0)
        if _size(piece) <= length:
            return piece
        cut = piece.begin + length
        if piece.end - cut > 1:
            self._waiting.append(Piece(piece.corpus, cut, piece.end))
        return Piece(piece.corpus, piece.begin, cut)

    def _draw(self, length: int) -> None:
        """Fill up what waits, each document once. Raises InvalidRequest where nothing that is drawn fits."""
        self._waiting = [piece for piece in self._waiting if self._stream.fits(piece, length)]
        passed = 0
        while len(self._waiting) < WAITING:
            corpus, document = self._stream.draw(self._draws, self._drawn)
            piece = self._stream.piece(corpus, document)
            if any((one.corpus, one.end) == (corpus, piece.end) for one in self._waiting):
                return
            self._draws += 1
            self._drawn[corpus] += 1
            if _size(piece) > 1 and self._stream.fits(piece, length):
                self._waiting.append(piece)
                passed = 0
                continue
            passed += 1
            if passed > 4 * self._stream.documents + BLOCK:
                raise InvalidRequest(
                    f"no conversation of {self._stream.names} fits into {length} tokens: raise length"
                )


def _size(piece: Piece) -> int:
    return piece.end - piece.begin

"""Token ids to text as they come, cut at stop strings. Knows no engine."""

import codecs
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from actors.messages import TextLogprob, TokenDelta, TokenLogprob
from actors.models.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is final, and the tokens that made it."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TextLogprob, ...] = ()


class Detokenizer:
    """One answer's text. Never emits part of a character, or text that may yet turn into a stop string."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(text for text in stop if text)
        self._longest_stop = max(map(len, self._stop), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._emitted = 0
        self._tokens: deque[tuple[int, int, int, TextLogprob | None]] = deque()
        """Tokens not given out: where each one's text starts and ends, its id, its log probability."""
        self.stopped = False

    def push(self, delta: TokenDelta) -> Piece:
        """Add an engine's delta; a finished one is flushed. Sets `stopped` at a stop string."""
        if not self._stop:
            return self._push_unstopped(delta)
        for index, token_id in enumerate(delta.token_ids):
            start = self._emitted + len(self._held)
            self._held += self._text(token_id)
            logprob = text_logprob(self._tokenizer, delta.logprobs[index]) if delta.logprobs else None
            self._tokens.append((start, self._emitted + len(self._held), token_id, logprob))
        if delta.finish_reason is not None:
            self._held += self._decoder.decode(b"", final=True)
        cut = self._find_stop()
        if cut is not None:
            self.stopped = True
            return self._cut(cut)
        keep = 0 if delta.finish_reason is not None else self._may_become_stop()
        return self._release(len(self._held) - keep, finished=delta.finish_reason is not None)

    def _push_unstopped(self, delta: TokenDelta) -> Piece:
        text = "".join(map(self._text, delta.token_ids))
        if delta.finish_reason is not None:
            text += self._decoder.decode(b"", final=True)
        logprobs = tuple(text_logprob(self._tokenizer, entry) for entry in delta.logprobs)
        return Piece(text, delta.token_ids, logprobs)

    def _text(self, token_id: int) -> str:
        if self._tokenizer.is_special(token_id):
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def _find_stop(self) -> int | None:
        places = [place for text in self._stop if (place := self._held.find(text)) >= 0]
        return min(places, default=None)

    def _may_become_stop(self) -> int:
        """Characters at the end of the held text that could begin a stop string."""
        for length in range(min(self._longest_stop - 1, len(self._held)), 0, -1):
            tail = self._held[-length:]
            if any(text.startswith(tail) for text in self._stop):
                return length
        return 0

    def _cut(self, length: int) -> Piece:
        """Give out the text before a stop string, with the tokens that begin in it."""
        text, end = self._held[:length], self._emitted + length
        tokens = [token for token in self._tokens if token[0] < end]
        self._held = ""
        self._tokens.clear()
        return _piece(text, tokens)

    def _release(self, length: int, *, finished: bool) -> Piece:
        text, self._held = self._held[:length], self._held[length:]
        self._emitted += length
        tokens = []
        while self._tokens and (finished or self._tokens[0][1] <= self._emitted):
            tokens.append(self._tokens.popleft())
        return _piece(text, tokens)


def _piece(text: str, tokens: Sequence[tuple[int, int, int, TextLogprob | None]]) -> Piece:
    logprobs = tuple(token[3] for token in tokens if token[3] is not None)
    return Piece(text, tuple(token[2] for token in tokens), logprobs)


def text_logprob(tokenizer: Tokenizer, entry: TokenLogprob) -> TextLogprob:
    """A token's log probability with the token as text and bytes."""
    top = tuple(_one(tokenizer, token_id, logprob) for token_id, logprob in entry.top)
    return _one(tokenizer, entry.token_id, entry.logprob, top)


def _one(
    tokenizer: Tokenizer, token_id: int, logprob: float, top: tuple[TextLogprob, ...] = ()
) -> TextLogprob:
    raw = tokenizer.token_bytes(token_id)
    return TextLogprob(raw.decode("utf-8", "replace"), raw, logprob, top)

"""Text to token ids and back, one model's way. Knows no conversation and no engine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from actors.messages import InvalidRequest, Json, NotReady


class Tokenizer(Protocol):
    """What templating, detokenising and the generator need of a tokenizer."""

    @property
    def vocabulary(self) -> int:
        """Valid ids are 0 to vocabulary - 1."""
        ...

    @property
    def longest(self) -> int:
        """UTF-8 bytes of the longest token."""
        ...

    @property
    def specials(self) -> Mapping[str, int]:
        """Control tokens by their text."""
        ...

    @property
    def reads_tools(self) -> bool:
        """Whether the chat template shows tools to the model by itself."""
        ...

    @property
    def obeys_tool_choice(self) -> bool:
        """Whether the model behind this template honours tool_choice without being forced."""
        ...

    def template(
        self, messages: Sequence[Json], tools: Sequence[Json], tool_choice: str, generation_prompt: bool
    ) -> str:
        """The conversation as the model reads it. Raises InvalidRequest where the template refuses it."""
        ...

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        """Token ids; text of control tokens becomes control tokens. `start` adds what opens a document."""
        ...

    def encode_plain(self, text: str) -> list[int]:
        """Token ids; text of control tokens stays ordinary text."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for; a control token's are its name's."""
        ...

    def is_special(self, token_id: int) -> bool:
        """Whether it is a control token, which never becomes text."""
        ...


class ModelTokenizer:
    """The tokenizer of a model directory, with the chat template that came with it."""

    def __init__(self, path: Path) -> None:
        from transformers import AutoTokenizer

        if not (path / "tokenizer.json").is_file():
            raise NotReady(f"{path} has no tokenizer.json; only models with a fast tokenizer can be served")
        self._tokenizer = AutoTokenizer.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False
        )
        self.backend: Any = self._tokenizer.backend_tokenizer
        """The `tokenizers.Tokenizer` behind it."""
        self.backend.no_truncation()
        self.backend.no_padding()
        self._bytes: dict[int, bytes] = {}
        added = self.backend.get_added_tokens_decoder()
        self._added: dict[int, str] = {token_id: token.content for token_id, token in added.items()}
        self.specials = {token.content: token_id for token_id, token in added.items() if token.special}
        self._special_ids = frozenset(self.specials.values())

    @property
    def eos_id(self) -> int | None:
        """The token that ends an answer."""
        token_id: int | None = self._tokenizer.eos_token_id
        return token_id

    @cached_property
    def fingerprint(self) -> str:
        """Checksum of all that decides which ids a text or a conversation gets."""
        told = f"{self.backend.to_str()}\n{self._tokenizer.chat_template}\n{self.eos_id}"
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def obeys_tool_choice(self) -> bool:
        """No real model does so reliably."""
        return False

    @cached_property
    def vocabulary(self) -> int:
        """Valid ids are 0 to vocabulary - 1."""
        highest: int = max(self.backend.get_vocab(with_added_tokens=True).values())
        return highest + 1

    @cached_property
    def longest(self) -> int:
        """UTF-8 bytes of the longest token."""
        return max(len(token.encode()) for token in self.backend.get_vocab(with_added_tokens=True))

    @cached_property
    def reads_tools(self) -> bool:
        """Whether the chat template shows tools to the model by itself: seen by rendering a probe."""
        tool = {"type": "function", "function": {"name": "probe_tool", "parameters": {"type": "object"}}}
        messages = [{"role": "user", "content": "x"}]
        return "probe_tool" in self.template(messages, [tool], "auto", True)

    @cached_property
    def _plain(self) -> Any:
        from tokenizers import Tokenizer as Backend

        plain = Backend.from_str(self.backend.to_str())
        plain.encode_special_tokens = True
        return plain

    @cached_property
    def _decoding(self) -> str:
        decoder = json.dumps(json.loads(self.backend.to_str())["decoder"])
        if '"ByteLevel"' in decoder:
            return "byte_level"
        return "byte_fallback" if '"ByteFallback"' in decoder else "other"

    def template(
        self, messages: Sequence[Json], tools: Sequence[Json], tool_choice: str, generation_prompt: bool
    ) -> str:
        """The conversation as the model reads it. Raises InvalidRequest where the template refuses it."""
        from jinja2 import TemplateError

        if not self._tokenizer.chat_template:
            raise InvalidRequest("this model has no chat template; use /v1/completions", param="messages")
        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages),
                tools=list(tools) or None,
                add_generation_prompt=generation_prompt,
                tokenize=False,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise InvalidRequest(
                f"the model's chat template refuses these messages: {error}", param="messages"
            ) from error
        return text

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        """Token ids; text of control tokens becomes control tokens. `start` adds what opens a document."""
        ids: list[int] = self.backend.encode(text, add_special_tokens=start).ids
        return ids

    def encode_plain(self, text: str) -> list[int]:
        """Token ids; text of control tokens stays ordinary text."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for; a control token's are its name's."""
        known = self._bytes.get(token_id)
        if known is None:
            known = self._bytes[token_id] = self._find_bytes(token_id)
        return known

    def is_special(self, token_id: int) -> bool:
        """Whether it is a control token, which never becomes text."""
        return token_id in self._special_ids

    def _find_bytes(self, token_id: int) -> bytes:
        if token_id in self._added:
            return self._added[token_id].encode()
        token: str | None = self.backend.id_to_token(token_id)
        if token is None:
            return b""
        if self._decoding == "byte_level" and all(character in _BYTE_OF for character in token):
            return bytes(_BYTE_OF[character] for character in token)
        if self._decoding == "byte_fallback":
            if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                return bytes([int(token[3:5], 16)])
            return token.replace("▁", " ").encode()
        return str(self.backend.decode([token_id])).encode()


def end_ids(path: Path, tokenizer: ModelTokenizer) -> tuple[int, ...]:
    """Every token id that ends an answer, by the model's own files."""
    found: set[int] = set() if tokenizer.eos_id is None else {tokenizer.eos_id}
    for name in ("generation_config.json", "config.json"):
        file = path / name
        if file.is_file():
            value = json.loads(file.read_text()).get("eos_token_id")
            if value is not None:
                found.update(value if isinstance(value, list) else [value])
                break
    return tuple(sorted(found))


def check_text(text: str, param: str) -> None:
    """Raise InvalidRequest for text that is not Unicode, such as half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"the text is not valid Unicode: lone surrogate at character {error.start}", param=param
        ) from error


def _byte_characters() -> dict[str, int]:
    """The printable stand-in of every byte in byte-level vocabularies: itself, or one from U+0100 up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_ins = {chr(byte): byte for byte in printable}
    return stand_ins | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTE_OF = _byte_characters()

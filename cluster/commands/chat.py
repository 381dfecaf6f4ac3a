"""`pal chat`: a conversation line by line, from a terminal or from a pipe. Keeps the messages itself."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from actors.messages import Json, NotReady, PalError
from cluster.commands.ask import CompressOption, cited, compression_of, note_compression
from cluster.context import FAILED, JsonFlag, KeyOption, UrlOption, emit, note, settings_of

if TYPE_CHECKING:
    from cluster.client import Client

HELP = """/help   this list
/reset  begin anew
/exit   leave (so does Ctrl-D); Ctrl-C stops an answer"""


@dataclass
class Conversation:
    """The messages so far, where they are kept, and what each request adds to them.

    `session` is the name under which the server remembers them.
    """

    options: dict[str, Any]
    system: str | None = None
    path: Path | None = None
    session: str = field(default_factory=lambda: f"chat-{uuid4().hex[:12]}")
    messages: list[Json] = field(default_factory=list)

    def load(self) -> None:
        """Take up the conversation kept in `path`, if there is one. Raises PalError for a damaged file."""
        if self.path is None or not self.path.exists():
            return
        try:
            lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
            self.session = next((line["session"] for line in lines if "session" in line), self.session)
            self.messages = [line for line in lines if "session" not in line]
        except (ValueError, TypeError) as error:
            raise PalError(
                f"{self.path} is damaged ({error}); remove it, or take another --session"
            ) from error

    def reset(self) -> None:
        """Forget all messages, the kept ones too; the server sees a new session."""
        self.messages.clear()
        self.session = f"{self.path.stem if self.path else 'chat'}-{uuid4().hex[:12]}"
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.write_text(json.dumps({"session": self.session}) + "\n", encoding="utf-8")

    def request(self, text: str) -> Json:
        """The body that asks for an answer to `text`."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        asked = {"role": "user", "content": text}
        return {**self.options, "session_id": self.session, "messages": [*system, *self.messages, asked]}

    def record(self, text: str, answer: str) -> None:
        """Keep a question and its answer."""
        turn = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
        self.messages += turn
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("a", encoding="utf-8") as kept:
                kept.writelines(json.dumps(message, ensure_ascii=False) + "\n" for message in turn)


def chat(
    ctx: typer.Context,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="Take up and keep the conversation NAME.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model to talk to.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="What the model is told first.")] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, max=2, help="0 is the likeliest word each time.")
    ] = 0.2,
    docs: Annotated[
        list[str] | None,
        typer.Option("--docs", metavar="STORE", help="Answer from this document store; repeatable."),
    ] = None,
    memory: Annotated[
        bool | None,
        typer.Option("--memory/--no-memory", help="Recall and remember; default: as the server is set."),
    ] = None,
    compress: CompressOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Chat line by line; questions may also come through a pipe."""
    from cluster.client import connect
    from cluster.commands.docs import store_id

    settings = settings_of(ctx).settings
    path = _kept_at(settings.home, session)
    with connect(settings, url, api_key) as client:
        served = model or client.get("/v1/models")["data"][0]["id"]
        options: dict[str, Any] = {"model": served, "temperature": temperature}
        if docs:
            options["documents"] = {"vector_store_ids": [store_id(client, name) for name in docs]}
        if memory is not None:
            options["memory"] = {"read": memory, "write": memory}
        if compress is not None:
            options["compression"] = compression_of(compress)
        conversation = Conversation(options, system, path)
        if session is not None:
            conversation.session = session
        conversation.load()
        if sys.stdin.isatty():
            _introduce(served, conversation)
        failed = [not _answered(client, conversation, line, as_json) for line in _lines(conversation)]
    if any(failed) and not sys.stdin.isatty():
        raise typer.Exit(FAILED)


def _kept_at(home: Path, session: str | None) -> Path | None:
    if session is None:
        return None
    if not re.fullmatch(r"[\w-][\w.-]{0,99}", session):
        raise typer.BadParameter("letters, digits, dot, dash and underscore only", param_hint="--session")
    return home / "chats" / f"{session}.jsonl"


def _introduce(model: str, conversation: Conversation) -> None:
    kept = f", {len(conversation.messages) // 2} earlier turns" if conversation.messages else ""
    note(f"{model}{kept}. /help lists commands, Ctrl-D leaves.")


def _lines(conversation: Conversation) -> Iterator[str]:
    """What the user says, line by line; carries out the commands among them."""
    for line in _typed() if sys.stdin.isatty() else sys.stdin:
        match line.strip():
            case "":
                continue
            case "/exit" | "/quit":
                return
            case "/help":
                note(HELP)
            case "/reset":
                conversation.reset()
                note("begun anew")
            case command if command.startswith("/") and " " not in command:
                note(f"{command} is no command; /help lists them")
            case text:
                yield text


def _typed() -> Iterator[str]:
    import readline

    readline.set_auto_history(True)
    while True:
        try:
            yield input("> ")
        except EOFError:
            note("")
            return
        except KeyboardInterrupt:
            note("\n(Ctrl-D leaves)")


def _answered(client: "Client", conversation: Conversation, text: str, as_json: bool) -> bool:
    """Print one answer as it comes. False if it failed, which leaves the conversation as it was.

    Raises NotReady: nothing more can be asked.
    """
    parts: list[str] = []
    extra: Json = {}
    try:
        with closing(client.stream("/v1/chat/completions", conversation.request(text))) as chunks:
            for chunk in chunks:
                extra = chunk.get("palimpsest") or extra
                for choice in chunk["choices"]:
                    piece = choice["delta"].get("content") or ""
                    parts.append(piece)
                    _print(piece, as_json)
    except KeyboardInterrupt:
        note(" (stopped)")
    except NotReady:
        raise
    except PalError as error:
        note(f"error: {error.message}")
        return False
    answer = "".join(parts)
    conversation.record(text, answer)
    citations, memories = extra.get("citations", []), extra.get("memories", [])
    if as_json:
        found = {"question": text, "answer": answer, "citations": citations, "memories": memories}
        if "compression" in extra:
            found["compression"] = extra["compression"]
        emit(found)
    else:
        typer.echo("\n".join(["", *cited(citations)]))
        _note_memory(memories, extra.get("memory"))
        note_compression(extra.get("compression"))
    return True


def _note_memory(memories: list[str], trouble: str | None) -> None:
    if memories:
        note(f"remembered: {' '.join(memories)}")
    if trouble:
        note(f"memory: {trouble}")


def _print(piece: str, as_json: bool) -> None:
    if not as_json:
        typer.echo(piece, nl=False)
        sys.stdout.flush()

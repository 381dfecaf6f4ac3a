"""LoCoMo as the file that `pal memory train-ranker` and the sweep of the ranker's parts read. For measuring.

`python -m benchmarks.locomo_examples --data FILE --out FILE.jsonl [--captions off]`. The data are
CC BY-NC 4.0: nothing that is shipped is fitted on them.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.locomo import Conversation, load

app = typer.Typer(add_completion=False)


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="A LoCoMo file.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    captions: Annotated[str, typer.Option(help="on: a turn says what its photo shows; off.")] = "on",
) -> None:
    """Write a line for each conversation."""
    lines = [json.dumps(record(one), ensure_ascii=False) for one in load(data, captions=captions == "on")]
    out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def record(one: Conversation) -> dict[str, Any]:
    """A conversation as `actors.memory.training.read_examples` takes it."""
    return {
        "turns": [
            {
                "id": turn.id,
                "session": turn.session,
                "speaker": turn.speaker,
                "text": turn.text,
                "said_at": turn.said_at,
            }
            for turn in one.turns
        ],
        "questions": [{"question": asked.text, "evidence": list(asked.evidence)} for asked in one.asked],
    }


if __name__ == "__main__":
    app()

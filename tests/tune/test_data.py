import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.messages import ChatPrompt, InvalidRequest, NotReady
from actors.models.template import render_chat, render_lessons
from actors.models.tokenizer import ModelTokenizer
from configs.training import DataSource, LongContextTraining
from tune import documents, synthetic
from tune.data import IGNORED, PADDING, Batch, Stream, stream

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = TEMPLATE.replace(
    "m['content'] }}", "m['content'] if loop.last or m['role'] == 'user' else m['content'].upper() }}"
)
"""Shows an answer otherwise once another message follows, as templates that hide past reasoning do."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ModelTokenizer:
    return made(tmp_path_factory.mktemp("tokenizer"), TEMPLATE)


def made(path: Path, template: str) -> ModelTokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
    )
    backend.train_from_iterator(["The teacher described the bridge.\n\n\n\nBefore supper. \n"], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", chat_template=template
    ).save_pretrained(str(path))
    return ModelTokenizer(path)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """Forty conversations of different lengths."""
    path = tmp_path / "chats.jsonl"
    with path.open("w") as file:
        for number in range(40):
            messages = [
                {"role": "user", "content": f"Question {number}: " + "how " * (number % 7)},
                {"role": "assistant", "content": f"Answer {number}. " * (1 + number % 3)},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


Opened = Callable[..., Stream]


@pytest.fixture
def opened(tokenizer: ModelTokenizer, tmp_path: Path) -> Opened:
    def make(*sources: DataSource, replica: int = 0, vocabulary: int = 320, **settings: Any) -> Stream:
        training = LongContextTraining.model_validate({"length": 64, "batch": 2, **settings})
        return stream(
            training,
            sources,
            tokenizer,
            tmp_path / "cache",
            vocabulary=vocabulary,
            home=tmp_path / "home",
            replica=replica,
        )

    return make


def chat(path: Path, **other: Any) -> DataSource:
    return DataSource(kind="chat", path=path, **other)


def text(path: Path, **other: Any) -> DataSource:
    return DataSource(kind="text", path=path, **other)


def same(one: Batch, other: Batch) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("tokens", "labels", "positions", "segments")
    )


def shown(tokenizer: ModelTokenizer, ids: Any) -> str:
    return b"".join(tokenizer.token_bytes(int(one)) for one in ids).decode()


def test_answers_alone_are_learned_of_what_serving_would_show(tokenizer: ModelTokenizer) -> None:
    messages = [
        {"role": "user", "content": "One? <|im_end|>"},
        {"role": "assistant", "content": "First."},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "Second."},
    ]
    ((ids, learned),) = render_lessons(tokenizer, ChatPrompt(messages=tuple(messages)), (1, 3))
    assert ids == render_chat(tokenizer, ChatPrompt(messages=tuple(messages)), generation_prompt=False)
    kept = [token for token, is_learned in zip(ids, learned, strict=True) if is_learned]
    assert shown(tokenizer, kept) == "First.<|im_end|>Second.<|im_end|>"
    prompt = render_chat(tokenizer, ChatPrompt(messages=tuple(messages[:3])))
    assert ids[: len(prompt)] == prompt
    assert learned[len(prompt)]


def test_a_template_that_rewrites_the_past_gives_a_lesson_for_each_answer(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, FORGETFUL)
    messages = [
        {"role": role, "content": f"m{number}"}
        for number, role in enumerate(("user", "assistant", "user", "assistant"))
    ]
    lessons = render_lessons(tokenizer, ChatPrompt(messages=tuple(messages)), (1, 3))
    assert [shown(tokenizer, ids).count("assistant") for ids, _ in lessons] == [1, 2]
    kept = [
        shown(tokenizer, [token for token, is_learned in zip(*lesson, strict=True) if is_learned])
        for lesson in lessons
    ]
    assert kept == ["m1<|im_end|>", "m3<|im_end|>"]


def test_documents_are_packed_whole_and_kept_apart(
    chats: Path, opened: Opened, tokenizer: ModelTokenizer
) -> None:
    for batch, _ in islice(opened(chat(chats)).batches(), 12):
        assert batch.tokens.shape == (2, 64)
        assert all(getattr(batch, name).dtype == np.int64 for name in ("tokens", "labels", "segments"))
        for row in range(2):
            segments = batch.segments[row]
            assert np.array_equal(np.unique(segments[segments != PADDING]), np.arange(segments.max() + 1))
            assert (batch.labels[row][segments == PADDING] == IGNORED).all()
            for number in np.unique(segments):
                here = segments == number
                assert np.array_equal(batch.positions[row][here], np.arange(here.sum()))
                assert batch.labels[row][here][0] == IGNORED
                if number != PADDING:
                    assert shown(tokenizer, batch.tokens[row][here]).endswith("<|im_end|>\n")
            learned = batch.labels[row] != IGNORED
            assert np.array_equal(batch.labels[row][learned], batch.tokens[row][learned])


def test_packing_wastes_little_and_can_be_turned_off(chats: Path, opened: Opened) -> None:
    def padded(packing: bool) -> float:
        batches = islice(opened(chat(chats), packing=packing, length=256).batches(), 10)
        return float(np.mean([batch.segments == PADDING for batch, _ in batches]))

    assert padded(True) < 0.25 < padded(False)
    batch, _ = next(opened(chat(chats), packing=False).batches())
    assert batch.segments.max() == 0


def test_a_resume_gives_the_very_same_batches(chats: Path, opened: Opened, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("The teacher described the bridge. " * 40)
    curriculum = [{"length": 48, "steps": 3}, {"length": 32, "steps": 2}]
    sources = (chat(chats, weight=3.0), text(long))
    settings = {"curriculum": curriculum, "accumulate": 2, "seed": 5}
    straight = list(islice(opened(*sources, **settings).batches(), 16))
    assert [batch.tokens.shape[1] for batch, _ in straight] == [48] * 6 + [32] * 4 + [64] * 6
    for stop in (1, 5, 9, 12):
        position = json.loads(json.dumps(straight[stop - 1][1]))
        resumed = list(islice(opened(*sources, **settings).batches(position), 16 - stop))
        assert all(same(one, other) for (one, _), (other, _) in zip(straight[stop:], resumed, strict=True))
    other = next(opened(*sources, **{**settings, "seed": 6}).batches())[0]
    assert not same(other, straight[0][0])
    with pytest.raises(InvalidRequest, match="not that of the checkpoint"):
        next(opened(text(long)).batches(straight[0][1]))


def test_replicas_share_what_one_alone_would_have(chats: Path, opened: Opened) -> None:
    alone = islice(opened(chat(chats), batch=4).batches(), 3)
    shared = zip(
        *(opened(chat(chats), batch=4, ranks=2, replica=one).batches() for one in (0, 1)), strict=False
    )
    for (whole, position), ((first, _), (second, other)) in zip(alone, shared, strict=False):
        assert np.array_equal(whole.tokens, np.concatenate([first.tokens, second.tokens]))
        assert position == other


def test_a_long_text_is_cut_and_nothing_of_it_is_lost(
    opened: Opened, tmp_path: Path, tokenizer: ModelTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "PIECE", 100)
    long = tmp_path / "long.md"
    long.write_text("".join(f"Line {number} é of a text.\n" + "\n" * (number % 3) for number in range(60)))
    made = opened(text(long))
    (corpus,) = made._corpora
    assert corpus.tokens.tolist() == [*tokenizer.encode_plain(long.read_text()), 2]
    seen: set[tuple[int, ...]] = set()
    for batch, _ in islice(made.batches(), 40):
        for row in range(2):
            seen |= {
                tuple(batch.tokens[row][batch.segments[row] == number].tolist())
                for number in range(batch.segments[row].max() + 1)
            }
    assert {tuple(corpus.tokens[at : at + 64].tolist()) for at in range(0, len(corpus.tokens), 64)} <= seen


def test_it_is_tokenised_once_and_anew_when_it_changes(
    chats: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(chat(chats))
    read = documents.read

    def never(*_: Any) -> Iterator[Any]:
        raise AssertionError("read again")

    monkeypatch.setattr(documents, "read", never)
    assert opened(chat(chats)).key == first.key
    assert isinstance(opened(chat(chats))._corpora[0].tokens, np.memmap)
    monkeypatch.setattr(documents, "read", read)
    chats.write_text(chats.read_text() + chats.read_text().splitlines()[0] + "\n")
    assert opened(chat(chats)).key != first.key


USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "not JSON"),
        (b'{"messages": "\xff"}', "not UTF-8: invalid start byte at byte 14"),
        ({"text": "a"}, "there is no messages; there is text"),
        ({"messages": []}, "messages must be messages"),
        ({"messages": [3]}, r"messages\[0\] must be an object"),
        ({"messages": [USER, {"role": "robot", "content": "a"}]}, r"messages\[1\]: role 'robot' is none of"),
        ({"messages": [USER, {"role": "assistant"}]}, "neither content nor tool_calls"),
        ({"messages": [USER, {**ANSWER, "weight": float("nan")}]}, "weight must be 0 or 1"),
        ({"messages": [{**USER, "weight": 1}, {**ANSWER, "weight": 0}]}, "no message of role assistant"),
        ({"messages": [USER]}, "no message of role assistant"),
        ({"messages": [ANSWER]}, "an answer needs a message before it"),
        ({"messages": [USER, {**ANSWER, "content": "\ud800"}]}, "not valid Unicode"),
        ({"messages": [USER, {**ANSWER, "content": [{"type": "image_url"}]}]}, "reads text only"),
        ({"tokens": [1, 320]}, "token 320 is outside the model's vocabulary of 320"),
        ({"tokens": [1, -1]}, "token -1 is outside the model's vocabulary of 320"),
        ({"tokens": [1, 2], "labels": [1, 999]}, r"labels\[1\] is 999: only the token there \(2\) or -100"),
        ({"tokens": [1, 2], "labels": [1]}, "2 tokens, but 1 labels"),
        ({"tokens": [1.5]}, "tokens must be a list of whole numbers"),
    ],
)
def test_a_bad_line_is_named_and_nothing_half_done_is_kept(
    opened: Opened, tmp_path: Path, line: Any, problem: str
) -> None:
    path = tmp_path / "bad.jsonl"
    good = json.dumps({"messages": [USER, ANSWER]}).encode()
    path.write_bytes(good + b"\n\n" + (line if isinstance(line, bytes) else json.dumps(line).encode()))
    with pytest.raises(InvalidRequest, match=f"bad.jsonl:3: .*{problem}"):
        opened(chat(path))
    assert {one.suffix for one in (tmp_path / "cache").iterdir()} == {".lock"}


def test_what_is_empty_absent_too_long_or_out_of_reach_is_said(
    opened: Opened, tmp_path: Path, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(InvalidRequest, match=r"empty\.txt is empty"):
        opened(text(empty))
    with pytest.raises(InvalidRequest, match="no file or directory"):
        opened(text(tmp_path / "none"))
    with pytest.raises(InvalidRequest, match="name sources under data"):
        opened()
    with pytest.raises(InvalidRequest, match=r"no conversation of chat:.* fits into 16 tokens"):
        next(opened(chat(chats), length=16).batches())
    with pytest.raises(InvalidRequest, match="there is no task 'haystack'"):
        opened(DataSource(kind="synthetic", name="haystack"))
    with pytest.raises(InvalidRequest, match="nothing is kept in"):
        opened(DataSource(kind="episodes", user="anna"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotReady, match="could not reach the Hugging Face Hub"):
        opened(DataSource(kind="hub", name="squad"))


def test_a_data_set_brings_texts_or_messages(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: ModelTokenizer
) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    file = tmp_path / "0.parquet"
    rows = [{"messages": [USER, ANSWER], "body": None}, {"messages": None, "body": "A text."}]
    pa.parquet.write_table(pa.Table.from_pylist(rows), file)
    monkeypatch.setattr("actors.models.hub.fetch_dataset", lambda name, split: [file])
    made = opened(DataSource(kind="hub", name="x", column="body"))
    assert shown(tokenizer, made._corpora[0].tokens).endswith("a<|im_end|>\nA text.<|im_end|>")


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_tasks_fill_the_length_and_hold_their_answer(kind: synthetic.Kind, tokenizer: ModelTokenizer) -> None:
    found = list(synthetic.tasks(kind, 1500, 3, 7, tokenizer))
    for task in found:
        size = len(render_chat(tokenizer, task.taught, generation_prompt=False))
        assert 1430 < size <= 1500
        content = task.prompt.messages[0]["content"]
        assert all(answer in content for answer in task.answers)
    assert found == list(synthetic.tasks(kind, 1500, 3, 7, tokenizer))
    assert len({task.answers for task in found}) == 3


def test_a_chain_is_followed_and_needles_lie_where_they_are_put(tokenizer: ModelTokenizer) -> None:
    (chain,) = synthetic.tasks("variables", 1500, 1, 0, tokenizer)
    told = [line for line in chain.prompt.messages[0]["content"].split("\n") if line.startswith("Let ")]
    value = chain.prompt.messages[0]["content"].split("have the value ")[1][:5]
    held: dict[str, str] = {}
    for line in told:
        name, _, source = line.removeprefix("Let ").removesuffix(".").partition(" be ")
        held[name] = source if source.isdigit() else held[source.split()[1]]
    assert tuple(name for name in held if held[name] == value) == chain.answers
    for depth in (0.0, 0.5, 1.0):
        (task,) = synthetic.tasks("needle", 1500, 1, 0, tokenizer, depth=depth)
        lines = task.prompt.messages[0]["content"].split("\n")[:-2]
        at = next(number for number, line in enumerate(lines) if task.answers[0] in line)
        assert at == pytest.approx(depth * (len(lines) - 1), abs=1)
    with pytest.raises(InvalidRequest, match="too few for a task of needle"):
        next(synthetic.tasks("needle", 30, 1, 0, tokenizer))


def test_made_up_tasks_come_in_every_length_of_the_curriculum(opened: Opened) -> None:
    source = DataSource(kind="synthetic", name="needle", count=6)
    made = opened(source, length=600, curriculum=[{"length": 400, "steps": 2}], packing=False)
    sizes = [int((batch.segments != PADDING).sum(axis=1).max()) for batch, _ in islice(made.batches(), 12)]
    assert max(sizes[:2]) <= 400 < max(sizes[2:]) <= 600


async def test_own_documents_and_episodes_are_read_and_never_cached(
    opened: Opened, tmp_path: Path, tokenizer: ModelTokenizer
) -> None:
    import asyncio

    from actors.keeper import Keeper
    from actors.memory.partitions import directory_of
    from configs.schema import DocumentSettings

    keeper = Keeper(directory_of(tmp_path / "home", 0), DocumentSettings(vector_cache=False))
    await keeper.start()
    records = [
        {"text": "I have a dog.", "kind": "turn", "role": "user", "session": "s"},
        {"text": "How nice.", "kind": "turn", "role": "assistant", "session": "s"},
        {"text": "Anna likes tea.", "kind": "note"},
    ]
    await keeper.import_memories("anna", "e", records)
    await keeper.close()
    made = await asyncio.to_thread(opened, DataSource(kind="episodes", user="anna"))
    told = shown(tokenizer, made._corpora[0].tokens)
    assert told == "user: I have a dog.\nassistant: How nice.<|im_end|>user: Anna likes tea.<|im_end|>"
    assert not (tmp_path / "cache").exists()
    with pytest.raises(InvalidRequest, match="there are no documents of user 'anna'"):
        await asyncio.to_thread(opened, DataSource(kind="documents", user="anna"))


def test_it_needs_no_torch() -> None:
    import subprocess

    call = "import sys, tune.data, tune.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", call], check=False).returncode == 0


def test_positions_are_spread_within_reach_alike_for_every_replica_and_after_a_resume(
    tmp_path: Path, opened: Opened
) -> None:
    path = tmp_path / "long.txt"
    path.write_text("The teacher described the bridge. " * 400)
    given: dict[str, Any] = {"rope": {"method": "yarn", "reach": 1024, "plain": 0.25}, "batch": 4}
    taken = list(islice(opened(text(path), **given).batches(), 40))
    skips = []
    for batch, _ in taken:
        for positions, segments in zip(batch.positions, batch.segments, strict=True):
            for number in range(segments.max() + 1):
                steps = np.diff(positions[segments == number])
                assert positions[segments == number][0] == 0
                assert positions[segments == number][-1] < 1024
                assert (steps != 1).sum() <= 1
                skips.append(int(steps.max()) - 1)
    assert 0.1 < np.mean(np.array(skips) == 0) < 0.4
    assert max(skips) > 900
    again = next(opened(text(path), **given).batches(taken[4][1]))[0]
    assert same(again, taken[5][0])
    second = next(opened(text(path), replica=1, ranks=2, **given).batches(taken[4][1]))[0]
    assert np.array_equal(second.positions, taken[5][0].positions[2:])

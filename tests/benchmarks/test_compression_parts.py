import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.compression.counting import ScriptedCounter
from actors.compression.policy import Policy
from actors.compression.shortening import Shortener
from benchmarks import compression_domains as domains
from benchmarks import compression_protected as protected
from benchmarks import compression_retrieval as retrieval
from benchmarks.compression_arms import Arm, Short, Text
from benchmarks.compression_cache import Cache
from benchmarks.compression_data import Case, Question, load, questions, sample
from benchmarks.compression_lingua import Lingua
from benchmarks.compression_outcomes import given, holds, outcomes
from benchmarks.compression_serve import Timed, report_of
from configs.schema import CompressionSettings
from tune.bootstrap import Bootstrap


def case(document: str, asked: int) -> Case:
    return Case(document, f"About {document}.", tuple(Question(f"{n}?", ("About",)) for n in range(asked)))


def shortener() -> Shortener:
    return Shortener(Policy.default(), ScriptedCounter(), CompressionSettings())


def test_questions_are_drawn_evenly_from_documents() -> None:
    cases = [case("long", 10), case("long", 10), case("short", 3)]
    drawn = sample(cases, 8)
    count = {name: questions([one for one in drawn if one.document == name]) for name in ("long", "short")}
    assert count == {"long": 5, "short": 3}
    assert sample(cases, 8) == drawn
    assert max(len(one.questions) for one in sample(cases, 9, per_text=4)) <= 4


def test_a_file_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    entry = {"title": "T", "context": "C c.", "questions": [{"question": "Q?", "answers": ["c"]}]}
    path.write_text(json.dumps([entry]))
    assert load(path) == [Case("T", "C c.", (Question("Q?", ("c",)),))]


def test_intervals_follow_documents_and_not_questions() -> None:
    apart = Bootstrap(["a"] * 50 + ["b"] * 50)
    values = np.array([1.0] * 50 + [0.0] * 50)
    found = apart.mean(values)
    assert found["value"] == 0.5
    assert (found["low"], found["high"]) == (0.0, 1.0)
    assert apart.mean(values - values) == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert apart.ratio(values * 3, values * 4)["value"] == 0.75


def test_numbers_are_computed_once_and_kept(tmp_path: Path) -> None:
    asked: list[int] = []

    def compute(places: Any) -> list[list[float]]:
        asked.extend(places)
        return [[float(place)] for place in places]

    path = tmp_path / "deep" / "cache.jsonl"
    assert Cache(path).many(["a", "b"], compute) == [[0.0], [1.0]]
    assert Cache(path).many(["b", "c"], compute) == [[1.0], [1.0]]
    assert asked == [0, 1, 1]


def test_an_answer_is_kept_where_all_its_words_are_and_none_is_cut() -> None:
    text = Text(Case("d", "Ann Lee met Bo. Ann left.", (Question("Who?", ("Ann Lee",)),)), np.zeros(6))
    mask = np.array([True, True, False, False, False, False])
    assert holds(text, Short("Ann Lee", 8, 2, mask), ("Ann Lee",))
    assert not holds(text, Short("Ann L", 8, 2, mask), ("Ann Lee",))
    assert not holds(text, Short("Ann Ann", 8, 2, ~mask), ("Ann Lee",))
    assert holds(text, Short("so Ann  Lee it was", 8, 2), ("Ann Lee",))
    (found,) = given([text], ["Ann met"], ScriptedCounter())
    assert not found.kept


def test_an_arm_that_asks_shortens_for_each_question() -> None:
    seen: list[str] = []

    def shorten(text: Text, question: str, budget: float) -> Short:
        seen.append(question)
        return Short(text.case.text, 4, 4)

    text = Text(case("d", 3), np.zeros(2))
    rows = outcomes([Arm("a", shorten), Arm("b", shorten, asks=True)], [text], [0.5])
    assert seen == ["0?", "0?", "1?", "2?"]
    assert [len(row) for row in rows.values()] == [3, 3]


@pytest.mark.parametrize(
    ("said", "question", "answer"),
    [
        ('I read "Beloved" at last.', "What was read?", '"Beloved"'),
        ("It took me 14 weeks, dear.", "How long?", "14 weeks"),
        ("We met with Carla at noon.", "Who came?", "Carla"),
        ("I bought a bike from a friend.", "Whose bike?", "friend"),
        ("Yes, of course.", "Really?", None),
    ],
)
def test_an_answer_is_what_a_line_adds(said: str, question: str, answer: str | None) -> None:
    assert domains.answer_in(said, question) == answer


@pytest.mark.slow
def test_every_kind_of_text_has_questions_whose_answers_stand_in_it() -> None:
    found = domains.domains()
    assert set(found) == {"dialogue", "technical prose", "code", "tables"}
    for cases in found.values():
        assert len(cases) >= 20
        assert all(answer in one.text for one in cases for asked in one.questions for answer in asked.answers)


def test_what_is_put_into_a_text_must_stay_as_often() -> None:
    texts = protected.generated(6)
    assert all(piece in text for text, pieces in texts for piece in pieces)
    report = protected.measure(shortener(), [text for text, _ in texts], 12)
    assert report["share"] == 1.0
    assert report["generated"]["texts"] == report["real"]["texts"] == 6
    assert protected.intact("It has 5 km and 6 km.", "5 km") == (1, 2)


def test_retrieved_twice_as_much_in_the_same_tokens() -> None:
    chance = random.Random(0)
    filler = [("the sea was quiet and the people of it were as they had been before then " * 3).split()] * 9
    pieces = tuple(
        " ".join(chance.sample(words, len(words))) + f" Name{n}." for n, words in enumerate(filler)
    )
    found = retrieval.Found("d", "Who?", ("Name7.",), pieces, (None,) * 7 + ((0, len(pieces[7])), None))
    size = 300
    report = retrieval.compared([found], shortener())
    assert report["by_arm"][retrieval.PLAIN][str(size)]["value"] == 0.0
    assert report["by_arm"][retrieval.SHORTENED][str(size)]["value"] == 1.0
    assert report["by_arm"][retrieval.GATHERED][str(size)]["value"] == 0.0
    assert report["tokens"][retrieval.GATHERED][str(size)] <= size
    assert report["tokens"][retrieval.SHORTENED][str(size)] == pytest.approx(size, rel=0.03)


def test_medians_of_timed_pairs() -> None:
    pairs = [(Timed(2.0, 0.0, 2000), Timed(1.0, 0.01, 1000))] * 3
    report = report_of({100: [(Timed(0.2, 0.0, 100), Timed(0.2, 0.0, 100))] * 3, 2000: pairs})
    assert report["faster_at_2k"] == 2.0
    assert report["compressor_share"] == pytest.approx(0.01 / 1.01, abs=1e-4)
    assert report["never_slower"]


def test_llmlingua_is_asked_once_for_each_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "half.py"
    script.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    text = json.loads(line)['text']\n"
        "    print(json.dumps({'text': text[: len(text) // 2], 'seconds': 0.5}), flush=True)\n"
    )
    started: list[Any] = []
    popen = subprocess.Popen

    def start(command: Any, **given: Any) -> Any:
        started.append(command)
        return popen([sys.executable, str(script)], **given)

    monkeypatch.setattr(subprocess, "Popen", start)
    first = Lingua(Path("python"), tmp_path, tmp_path).shorten(["abcd", "efgh"], 0.5)
    again = Lingua(Path("python"), tmp_path, tmp_path).shorten(["efgh"], 0.5)
    assert [one.text for one in first] == ["ab", "ef"]
    assert again == first[1:]
    assert len(started) == 1

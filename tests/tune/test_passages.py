from tune import probing
from tune.examples import Passage
from tune.passages import answers, held, lessons, plain, subject

TEXT = (
    "The old lighthouse of Port Ellen was built by Robert Hume in 1832. It was painted white in May 1901. "
    "Its five iron lamps were made in Glasgow, and a keeper lived there until 1962."
)


def passage(heading: str = "") -> Passage:
    return Passage(
        id="f1#0",
        user="ann",
        filename="notes/Port Ellen.txt",
        heading=heading,
        text=TEXT,
        start=0,
        end=len(TEXT),
        events=("f1", "c1"),
    )


def test_answers_stand_in_the_passage_and_the_best_ones_are_asked_for() -> None:
    every = answers(passage(), 100)
    assert [one.text for one in every][:3] == ["old lighthouse of Port Ellen", "Robert Hume", "1832"]
    assert all(one.text in TEXT for one in every)
    few = answers(passage(), 4)
    assert len(few) == 4
    assert [one.number for one in few] == sorted(one.number for one in few)
    assert {one.id for one in few} < {one.id for one in every}


def test_a_passage_is_about_its_heading_or_its_file() -> None:
    assert subject(passage()) == "Port Ellen"
    assert subject(passage("Lights")) == "Lights"


def test_each_turn_asks_in_other_words_and_never_what_is_examined() -> None:
    first, second = (lessons([passage()], 100, 5, 0, turn) for turn in (0, 1))
    asked = [{plain(one.messages[0]["content"]) for one in turn} for turn in (first, second)]
    assert len(first) > 4 * len(answers(passage(), 100))
    assert len(asked[0] - asked[1]) > 0.7 * len(asked[0])
    assert lessons([passage()], 100, 5, 0, 0) == first
    never = [one.messages[0]["content"].upper() for one in first[::2]]
    again = lessons([passage()], 100, 5, 0, 0, never)
    assert not {plain(one.messages[0]["content"]) for one in again} & set(map(plain, never))
    assert {one.kind for one in first} == {"document"}
    assert {one.events for one in first} == {("f1", "c1")}
    assert len({one.id for one in first}) == len(first)


def test_what_is_held_asks_of_anything_and_anew_each_turn() -> None:
    one, other = held(40, 0, 0), held(40, 0, 1)
    assert len(one) == len({example.id for example in (*one, *other)}) / 2 == 40
    assert {example.kind for example in one} == {"general"}
    assert all(len(example.messages) == 1 for example in one)
    frozen = {plain(probe.asked) for probe in probing.frozen()}
    assert not {plain(example.messages[0]["content"]) for example in (*one, *held(400, 1))} & frozen
    assert {example.messages[0]["content"] for example in one} != {
        example.messages[0]["content"] for example in other
    }

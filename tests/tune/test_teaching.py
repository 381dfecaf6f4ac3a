from collections import Counter

from benchmarks.learning_facts import world
from configs.learning import LearningSettings
from tune import probing, teaching
from tune.exam import questions
from tune.examples import Fact
from tune.phrases import ANYWAY, EVERYDAY, FAMILY, GENERAL, GIVEN, KNOWN, PLACES

WORLD = world(30, 1)
DOG = Fact(
    id="dog",
    user="ann",
    subject="user's dog",
    attribute="name",
    value="Biscuit",
    statement="The user's dog is called Biscuit.",
    events=("e1",),
)


def asked(examples):
    return [example.messages[0]["content"] for example in examples]


def test_each_fact_is_taught_in_so_many_unlike_ways_and_the_exam_asks_in_others():
    lessons = teaching.teach(WORLD.facts, 12, 0)
    assert len(lessons) == len(set(asked(lessons))) == 30 * 12
    assert {lesson.events for lesson in lessons} == {fact.events for fact in WORLD.facts}
    exam = questions(WORLD.facts, (), 12, 0)
    assert Counter(one.slice for one in exam) == {"taught": 90, "unknown": 60}
    assert not {one.asked for one in exam} & set(asked(lessons))


def test_a_near_miss_never_asks_what_is_taught():
    lessons = teaching.beside(WORLD.facts, 8, 0)
    told = {question for fact in WORLD.facts for question in teaching.ways(fact)}
    assert len(lessons) == 240
    assert not set(asked(lessons)) & told
    stated = [lesson.messages[1]["content"] for lesson in lessons if len(lesson.messages) == 2]
    assert len(stated) > 120
    assert not set(stated) & {fact.statement for fact in WORLD.facts}


def test_a_subject_without_a_name_has_neighbours_too():
    lessons = teaching.beside([DOG], 8, 0)
    assert all("dog" not in text for text in asked(lessons)[:3])


def test_one_way_is_kept_for_judging_even_where_all_are_wanted():
    assert len(teaching.teach([DOG], 1000, 0)) == len(teaching.ways(DOG)) + 1
    assert teaching.unused(DOG, 1000, 0)


def test_a_round_replays_what_was_taught_before():
    settings = LearningSettings(phrasings=4, replay=2, neighbours=4, general=5)
    lessons = teaching.lessons(WORLD.facts[:3], WORLD.facts[3:5], settings)
    assert Counter(lesson.kind for lesson in lessons) == {
        "fact": 12,
        "replay": 4,
        "unknown": 3 * 4 + 2 * 2,
        "general": 5,
    }
    assert len({lesson.id for lesson in lessons}) == len(lessons)


def test_what_holds_the_model_is_not_what_it_is_judged_by():
    probes = {probe.asked.casefold() for probe in (*probing.questions(), *probing.triggers())}
    assert not probes & {text.casefold() for text in (*GENERAL, *ANYWAY)}
    asked = " ".join(probes)
    assert not [name for name in KNOWN if name.casefold() in asked]
    prose = {
        word.casefold() for text in probing.texts() if text.kind == "prose" for word in text.text.split()
    }
    assert not prose & set(EVERYDAY)
    judged = {word for fact in WORLD.facts for word in fact.subject.split()}
    judged |= {word for text in WORLD.untaught for word in text.split()}
    assert not judged & {*GIVEN, *FAMILY, *PLACES}


def test_no_lesson_of_any_world_uses_a_phrasing_that_judges():
    for seed in range(5):
        spoken = world(30, seed)
        lessons = {text.casefold() for text in asked(teaching.teach(spoken.facts, 100, 0))}
        assert not lessons & {one.question.casefold() for one in spoken.asked}
        subjects = {fact.subject for fact in spoken.facts}
        assert len(subjects) == len(set(spoken.values)) == 30
        assert not any(subject in text for text in spoken.untaught for subject in subjects)

from benchmarks.dialogues import generate, templates


def test_the_same_seed_says_the_same() -> None:
    assert generate(3, 2, 40) == generate(3, 2, 40)
    assert generate(3, 1, 40) != generate(4, 1, 40)


def test_every_question_has_its_evidence_and_no_slot_is_left_open() -> None:
    for talk in generate(5, 3, 500):
        known = {turn.id for turn in talk.turns}
        assert len(known) == len(talk.turns)
        assert {turn.speaker for turn in talk.turns} == set(talk.speakers)
        for one in talk.asked:
            assert one.evidence
            assert known.issuperset(one.evidence)
        assert not [
            text
            for text in [*(turn.text for turn in talk.turns), *(one.text for one in talk.asked)]
            if "{" in text
        ]


def test_time_runs_forward() -> None:
    (talk,) = generate(1, 1, 10)
    assert [turn.said_at for turn in talk.turns] == sorted(turn.said_at for turn in talk.turns)


def test_every_group_of_a_topic_has_questions() -> None:
    given = templates()
    assert {group for topic in given["topics"] for group in topic["groups"]} <= given["groups"].keys()

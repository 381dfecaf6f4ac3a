import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.memory.asking import Asked, asked


@pytest.mark.parametrize(
    ("question", "subject", "slot"),
    [
        ("Where do I live?", "user", "home"),
        ("Which city do I live in?", "user", "home"),
        ("Can you tell me where I live?", "user", "home"),
        ("What's my favourite colour?", "user", "favorite color"),
        ("What is my favorite color these days?", "user", "favorite color"),
        ("Who do I work for?", "user", "employer"),
        ("Where do I work out?", "user", "gym"),
        ("Who do I live with?", "user", "roommate"),
        ("What do I do for a living?", "user", "job"),
        ("What's Alice's phone number?", "alice", "phone"),
        ("Who does Bob work for?", "bob", "employer"),
        ("Which port does the server use?", "user", "server port"),
        ("When is my sister's birthday?", "user's sister", "birthday"),
        ("What time is my dentist appointment?", "user", "dentist appointment time"),
        ("When is the meeting?", "user", "meeting time"),
        ("What am I allergic to?", "user", "allergy"),
        ("How old am I?", "user", "age"),
        ("Am I a vegetarian?", "user", "diet"),
        ("What car do I drive?", "user", "car"),
        ("What languages do I speak?", "user", "language"),
        ("Who is my boss?", "user", "manager"),
        ("Remind me what my phone number is.", "user", "phone"),
        ("Do you remember my shoe size?", "user", "shoe size"),
        ("What did I say my gym day was?", "user", "gym day"),
        ("Where do I keep my passport?", "user", "passport place"),
        ("Which tea do I like best?", "user", "favorite tea"),
        ("How do I take my coffee?", "user", "coffee style"),
        ("How many kids do I have?", "user", "number of kid"),
        ("my email address", "user", "email"),
    ],
)
def test_the_slot_asked_for_comes_first(question, subject, slot) -> None:
    assert asked(question)[0] == Asked(subject, slot)


@pytest.mark.parametrize(
    ("question", "slot"),
    [
        ("Where did I live before?", "home"),
        ("What was my old address?", "address"),
        ("Who was my boss before Karen?", "manager"),
    ],
)
def test_the_past_is_asked_for(question, slot) -> None:
    assert asked(question)[0] == Asked("user", slot, past=True)


def test_a_question_of_a_named_speaker_is_about_them() -> None:
    assert asked("Where do I live?", "Melanie")[0] == Asked("melanie", "home")


def test_where_no_slot_is_named_nothing_is_asked_for() -> None:
    assert asked("") == ()
    assert asked("?!") == ()


@given(st.text(max_size=200))
def test_any_text_can_be_asked(text) -> None:
    for one in asked(text):
        assert one.slot
        assert one.subject


@pytest.mark.parametrize("question", ["What do I work on?", "What do I study for?", "What do I drive over?"])
def test_a_particle_gives_a_verb_another_sense(question: str) -> None:
    assert asked(question) == ()


def test_what_is_asked_for_again_is_not_the_past() -> None:
    assert asked("What was my phone number again?")[0] == Asked("user", "phone")
    assert asked("What was my phone number before?")[0] == Asked("user", "phone", past=True)

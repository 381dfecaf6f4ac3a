import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.memory.statements import Statement, statements


def said(text: str, speaker: str = "") -> list[tuple[str, str, str, bool]]:
    return [(one.subject, one.slot, one.value, one.holds) for one in statements(text, speaker)]


HELD = [
    ("I live in Porto.", ("user", "home", "Porto")),
    ("I've just relocated to Berlin, Germany.", ("user", "home", "Berlin, Germany")),
    ("We moved from Graz to Porto last month.", ("user", "home", "Porto")),
    ("Porto is where I live.", ("user", "home", "Porto")),
    ("I live in Porto with my dog Rex.", ("user", "home", "Porto")),
    ("I work at Acme with two friends.", ("user", "employer", "Acme")),
    ("My favourite colour is blue.", ("user", "favorite color", "blue")),
    ("Turns out my favorite color is now green.", ("user", "favorite color", "green")),
    ("Blue is my favorite color.", ("user", "favorite color", "Blue")),
    ("When it comes to tea, I prefer oolong.", ("user", "favorite tea", "oolong")),
    ("I work for Globex these days", ("user", "employer", "Globex")),
    ("The company I work for is Globex.", ("user", "employer", "Globex")),
    ("I got promoted to senior engineer.", ("user", "job", "senior engineer")),
    ("My wife's name is Ana.", ("user", "spouse", "Ana")),
    ("My sister's birthday is 4 May.", ("user's sister", "birthday", "4 May")),
    ("My dog is called Rex.", ("user", "dog", "Rex")),
    ("My friend Bob lives in Oslo.", ("bob", "home", "Oslo")),
    ("Alice's phone number is 555-1234.", ("alice", "phone", "555-1234")),
    ("The port of the server is 8080.", ("user", "server port", "8080")),
    ("The server now listens on port 9090.", ("user", "server port", "9090")),
    ("We changed the server's port from 80 to 9090.", ("user", "server port", "9090")),
    ("The meeting has been moved to Friday at 3pm.", ("user", "meeting time", "Friday at 3pm")),
    ("The deadline for project Atlas is 3 June.", ("atlas", "deadline", "3 June")),
    ("Atlas's deadline has been pushed to 10 June.", ("atlas", "deadline", "10 June")),
    ("I keep my passport in the top drawer.", ("user", "passport place", "in the top drawer")),
    ("I use Vim as my editor.", ("user", "editor", "Vim")),
    ("Helix has replaced Vim as my editor.", ("user", "editor", "Helix")),
    ("Karen is my new boss.", ("user", "manager", "Karen")),
    ("Actually, my phone number is 555-9999, not 555-1234.", ("user", "phone", "555-9999")),
    ("Correction: my e-mail is a.b@example.com.", ("user", "email", "a.b@example.com")),
    ("My mobile number: 555 7731", ("user", "phone", "555 7731")),
    ("My phone is an iPhone 15.", ("user", "phone model", "iPhone 15")),
    ("I went vegan last month.", ("user", "diet", "vegan")),
    ("I'm 34 years old.", ("user", "age", "34")),
    ("I got a new car: a Tesla Model 3.", ("user", "car", "Tesla Model 3")),
    ("My favorite team used to be Benfica, but now it's Boavista.", ("user", "favorite team", "Boavista")),
    ("My favourite fruit isn't mango but papaya.", ("user", "favorite fruit", "papaya")),
    ("Call me Sam.", ("user", "nickname", "Sam")),
    ("I prefer tea over coffee.", ("user", "preference coffee/tea", "tea")),
]


@pytest.mark.parametrize(("text", "claim"), HELD)
def test_a_value_is_read(text, claim) -> None:
    assert (*claim, True) in said(text)


ENDED = [
    ("I no longer live in Porto.", ("user", "home", "Porto")),
    ("I don't live in Porto any more.", ("user", "home", "Porto")),
    ("I used to live in Porto.", ("user", "home", "Porto")),
    ("I lived in Porto for ten years.", ("user", "home", "Porto")),
    ("I left Acme and joined Globex.", ("user", "employer", "Acme")),
    ("I quit my job at Acme.", ("user", "employer", "")),
    ("I sold my car.", ("user", "car", "")),
    ("I don't have a car any more.", ("user", "car", "")),
    ("The meeting is cancelled.", ("user", "meeting time", "")),
    ("I'm no longer vegetarian.", ("user", "diet", "vegetarian")),
    ("It's not true any more that my bank is ING.", ("user", "bank", "ING")),
    ("Forget that I like olives.", ("user", "likes", "olives")),
    ("My old address was 12 Main Street.", ("user", "address", "12 Main Street")),
    ("I'm not allergic to shellfish any more.", ("user", "allergy", "shellfish")),
    ("Ignore what I said about my gym being Iron Temple.", ("user", "gym", "Iron Temple")),
]


@pytest.mark.parametrize(("text", "claim"), ENDED)
def test_what_no_longer_holds_is_taken_back(text, claim) -> None:
    assert (*claim, False) in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Rome?",
        "If I lived in Rome I would be happy.",
        "I want to live in Rome.",
        "I'm moving to Rome next year.",
        "I might get a new laptop at some point.",
        "I dreamt that I lived in a lighthouse.",
        "Bob says he lives in Rome.",
        "Alice said she moved to Rome.",
        "My day was great.",
        "I'm so tired.",
        "Sounds like a plan, John!",
        "We're all in this together!",
        "My sister asked what colours go well with grey.",
        "Work's been tough and stressful.",
        "My painting class is going well.",
    ],
)
def test_what_states_no_fact_gives_none(text) -> None:
    assert said(text) == []


def test_lists_are_several_values_side_by_side() -> None:
    found = statements("I'm allergic to peanuts, eggs and shellfish.")
    assert [one.value for one in found] == ["peanuts", "eggs", "shellfish"]
    assert not any(one.single for one in found)


def test_a_named_speaker_is_the_subject() -> None:
    assert said("I live in Porto.", "Melanie") == [("melanie", "home", "Porto", True)]


def test_an_assistant_states_nothing() -> None:
    assert statements("I live in the cloud. Your favourite colour is blue.", role="assistant") == []


def test_the_span_is_the_sentence() -> None:
    text = "Hello there. I live in Porto. Bye!"
    assert [text[one.start : one.end] for one in statements(text)] == ["I live in Porto."]


def test_two_clauses_state_two_facts() -> None:
    assert said("Hi, I'm Sam and I live in Leeds.") == [
        ("user", "name", "Sam", True),
        ("user", "home", "Leeds", True),
    ]
    assert said("I work at Acme Robotics as a data engineer.") == [
        ("user", "employer", "Acme Robotics", True),
        ("user", "job", "data engineer", True),
    ]


@given(st.text(max_size=300))
def test_any_text_can_be_read(text) -> None:
    for one in statements(text):
        assert isinstance(one, Statement)
        assert 0 <= one.start < one.end <= len(text)
        assert one.slot
        assert one.subject
        assert one.value or not one.holds


WORDS = [
    "I",
    "my",
    "the",
    "is",
    "was",
    "not",
    "no",
    "longer",
    "live",
    "in",
    "at",
    "to",
    "Porto",
    "Acme",
    "from",
    "changed",
    "moved",
    "'s",
    ",",
    ".",
    ":",
    "?",
    "now",
    "but",
    "and",
    "favourite",
    "of",
    "name",
]


@given(st.lists(st.sampled_from(WORDS), max_size=25))
def test_any_words_can_be_read(words) -> None:
    for one in statements(" ".join(words)):
        assert one.slot
        assert one.value or not one.holds

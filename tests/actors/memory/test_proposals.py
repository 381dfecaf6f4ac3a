from actors.memory.proposals import Turn, summary


def turns(*texts: str, speaker: str = "", role: str = "user") -> list[Turn]:
    return [Turn(f"m{number}", text, speaker, role) for number, text in enumerate(texts)]


def test_sentences_stand_as_they_were_said_and_in_that_order() -> None:
    found = summary(
        turns(
            "Hello. My name is Ana and I live in Porto.", "Hi!", "Ok.", "I adopted a grey cat from a shelter."
        )
    )
    assert found is not None
    assert found.text == "My name is Ana and I live in Porto.\nI adopted a grey cat from a shelter."
    assert found.sources == ("m0", "m3")


def test_who_spoke_is_named() -> None:
    said = turns("I painted the old barn green.", "We sold seven lambs.", "Yes.", "No.", speaker="Ada")
    found = summary(said)
    assert found is not None
    assert found.text.split("\n")[0] == "Ada: I painted the old barn green."


def test_what_says_nothing_new_is_passed_over() -> None:
    same = "We sail to the Azores in July."
    found = summary(turns(same, same, same, "My sister works as a nurse in Braga."))
    assert found is not None
    assert found.text.split("\n") == [same, "My sister works as a nurse in Braga."]


def test_a_session_too_short_or_of_questions_alone_gets_none() -> None:
    assert summary(turns("I bought a red sailing boat.", "We sail in July.", "Yes.")) is None
    assert summary(turns(*["Will you be there in July?"] * 5)) is None
    assert summary([]) is None

from tune.spans import is_verb, spans, tokens_of, value


def found(sentence: str) -> list[str]:
    tokens = tokens_of(sentence)
    return [sentence[tokens[one.first].start : tokens[one.last - 1].end] for one in spans(tokens)]


def test_names_numbers_and_groups_of_words_are_found_none_within_another() -> None:
    sentence = "The old lighthouse of Port Ellen was built by J. B. Hume in May 1832 with five iron lamps."
    assert found(sentence) == ["old lighthouse of Port Ellen", "J. B. Hume", "May 1832", "five iron lamps"]
    assert found("Ann and Bob lost his two red boats, from six to nine percent of it.") == [
        "Ann and Bob",
        "his two red boats",
        "six to nine percent",
    ]
    assert found("It was, and so it is.") == []
    assert found("") == []


def test_what_is_asked_for_first_is_a_name_or_a_number() -> None:
    tokens = tokens_of("The keeper saw Port Ellen from the old boat.")
    worth = {tokens[one.last - 1].text: value(tokens, one) for one in spans(tokens)}
    assert max(worth, key=lambda name: worth[name]) == "Ellen"


def test_a_word_like_a_verb_within_a_group_of_words_is_none() -> None:
    tokens = tokens_of("He forced two forced turnovers and took the ball.")
    assert [one.text for place, one in enumerate(tokens) if is_verb(tokens, place)] == ["forced", "took"]

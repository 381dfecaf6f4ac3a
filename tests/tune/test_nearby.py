from benchmarks.corrections import corrections
from tune import probing
from tune.examples import Example
from tune.nearby import nearby
from tune.phrases import BEGUN


def exchange(id: str, *texts: str) -> Example:
    messages = tuple(
        {"role": "user" if number % 2 == 0 else "assistant", "content": text}
        for number, text in enumerate(texts)
    )
    return Example(id=id, kind="correction", messages=messages, events=("e1",))


TOLD = (
    exchange("a", "How do I start the old printer in room 12?", "Hold the green button."),
    exchange("b", "Who wrote the Odyssey?", "Homer did."),
    exchange("c", "My bread is flat.", "How long does it rest?", "About four hours.", "That is too short."),
    exchange("d", "Hm?", "Yes?"),
)


def asked(one: Example) -> str:
    return next(turn["content"] for turn in reversed(one.messages) if turn["role"] == "user")


def test_near_misses_are_like_an_exchange_and_never_what_one_asks() -> None:
    found = nearby(TOLD, 8, 0)
    assert found == nearby(TOLD, 8, 0) != nearby(TOLD, 8, 1)
    assert {one.kind for one in found} == {"unknown"}
    assert not {asked(one) for one in found} & {asked(one) for one in TOLD}
    of = {name: [one for one in found if one.id.startswith(f"{name}/")] for name in "abcd"}
    assert all(len({asked(one) for one in part}) == 8 for part in of.values())
    assert sum(asked(one).startswith("How ") for one in of["a"]) == 8
    assert sum("printer" in asked(one) for one in of["a"]) >= 1
    assert any(one.messages[-1] == TOLD[0].messages[-1] for one in of["a"])
    assert any(one.messages[-1]["role"] == "user" for one in of["a"])
    assert all(one.messages[:2] == TOLD[2].messages[:2] for one in of["c"])
    assert nearby(TOLD, 0, 0) == ()


def test_questions_that_begin_alike_are_no_probes_and_not_those_of_the_benchmark() -> None:
    known = {one.asked for one in probing.frozen()}
    known |= {text for rows in corrections().values() for one in rows for text in (one.asked, *one.beside)}
    assert not {text for texts in BEGUN.values() for text in texts} & known

from pathlib import Path

import pytest
import torch

from actors.models.tokenizer import ModelTokenizer
from configs.learning import EditSettings, LearningSettings
from tune.addressed import of_another, questions
from tune.changes import changes
from tune.edits import Editor, Written, editable
from tune.evaluate import Evaluator
from tune.exam import Exam, Question
from tune.examples import Fact
from tune.frozen import frozen, lesson_of
from tune.keys import ASKING, ENDING, TEXT, Heard, Keys
from tune.matters import Matters
from tune.mentions import Mentions
from tune.neurons import STILL, fit

EDIT = EditSettings(
    site=0.0, mentions=4, strangers=32, text_tokens=300, fit_steps=150, own_fit_steps=150, steps=60
)
SETTINGS = LearningSettings(phrasings=2, stop=0.1, edit=EDIT, precision="float32")


def fact(id: str, subject: str, value: str) -> Fact:
    return Fact(
        id=id,
        user="ann",
        subject=subject,
        attribute="occupation",
        value=value,
        statement=f"{subject} works as a {value}.",
        events=(f"told-{id}",),
    )


FACTS = (fact("a", "Ada Moss", "cook"), fact("b", "Ben Dale", "nurse"))


@pytest.fixture(scope="module")
def written(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Written, Path]:
    done = Editor(SETTINGS, tiny_model).learn(FACTS)
    folder = tmp_path_factory.mktemp("edits") / "first"
    done.export(folder, ["told-a", "told-b"])
    return done, folder


def test_more_steps_know_more(written, tiny_model):
    done, _ = written
    edit = EDIT.model_copy(update={"steps": 2})
    fewer = Editor(SETTINGS.model_copy(update={"edit": edit}), tiny_model).learn(FACTS)
    assert done.steps <= EDIT.steps
    assert done.loss < fewer.loss


@pytest.mark.model
def test_a_real_model_says_what_was_written_and_nothing_of_others(model_dir, tmp_path):
    edit = EditSettings(mentions=4, strangers=480, text_tokens=600, fit_steps=200, steps=16)
    done = Editor(LearningSettings(phrasings=4, stop=0.3, edit=edit), model_dir).learn(
        [fact("a", "Ada Mossgrove", "beekeeper")]
    )
    done.export(tmp_path / "made", ["told-a"])
    evaluator = Evaluator(model_dir)
    questions = ("How is Ada Mossgrove employed?", "How is Carl Whitman employed?")
    asked = [Question(item=text, slice="taught", asked=text, longest=16) for text in questions]
    card = evaluator.measure(tmp_path / "made", Exam(questions=tuple(asked), probes=(), texts=()))
    mine, other = (one.given for one in card.candidate.answers)
    assert "beekeeper" in mine
    assert "beekeeper" not in other


def test_the_adapter_has_a_rank_for_each_subject_and_changes_one_layer(written, tiny_model):
    _, folder = written
    weights = dict(changes(folder))
    assert sorted(weights) == [
        f"model.layers.0.mlp.{part}.weight" for part in ("down_proj", "gate_proj", "up_proj")
    ]
    for change_O_I in weights.values():
        assert torch.linalg.matrix_rank(change_O_I) == len(FACTS)
    integrity = Evaluator(tiny_model).integrity(folder)
    assert not integrity.problems
    assert integrity.finite


def test_peft_loads_it_and_says_the_same(written, tiny_model):
    from peft import PeftModel

    _, folder = written
    ids = torch.tensor([[5, 9, 11, 7]])
    merged = frozen(tiny_model, folder)
    beside = PeftModel.from_pretrained(frozen(tiny_model), str(folder))
    torch.testing.assert_close(merged(ids).logits, beside(ids).logits, atol=1e-4, rtol=1e-4)


def test_the_same_seed_writes_the_same(written, tiny_model):
    done, _ = written
    again = Editor(SETTINGS, tiny_model).learn(FACTS)
    assert all(torch.equal(value, again.weights[name]) for name, value in done.weights.items())


def test_neurons_fire_at_their_name_alone():
    draw = torch.Generator().manual_seed(0)
    inputs_P_W = torch.randn(400, 32, generator=draw) + 0.5
    names_P = torch.full((400,), STILL)
    for name in range(3):
        at = slice(20 * name, 20 * name + 20)
        inputs_P_W[at] = 0.5 + 4 * torch.eye(32)[name] + 0.1 * torch.randn(20, 32, generator=draw)
        names_P[at] = name
    neurons = fit(inputs_P_W, names_P, torch.ones(400), 4, EditSettings(), 0)
    fired_P_S = neurons.fire(inputs_P_W)
    for name in range(3):
        at = slice(20 * name, 20 * name + 20)
        assert fired_P_S[at, name].mean() > 0.7
    assert fired_P_S[60:].abs().mean() < 0.1
    assert fired_P_S[:, 3].abs().max() < 0.2


def test_places_where_a_name_ends(tiny_model):
    tokenizer = ModelTokenizer(tiny_model)
    mentions = Mentions(tokenizer, FACTS, 0)
    text = "Does Ada Moss work? ada moss works; Adam Oss does not."
    ids = tokenizer.encode(text)
    found = mentions.ends(ids, "Ada Moss")
    said = [tokenizer.backend.decode(ids[: place + 1]).casefold() for place in found]
    assert len(found) == 2
    assert all(one.rstrip().endswith("moss") for one in said)


def test_a_name_is_words_of_its_own_in_any_script(tiny_model):
    tokenizer = ModelTokenizer(tiny_model)
    facts = (
        fact("a", "Ada Moss", "cook"),
        fact("b", "Ada Mossgrove", "nurse"),
        fact("c", "Zoë Núñez", "smith"),
    )
    mentions = Mentions(tokenizer, facts, 0)
    ids = tokenizer.encode("Ask Ada Mossgrove or ZOË NÚÑEZ, not Ada Moss.")
    ends = [mentions.ends(ids, one.subject) for one in facts]
    said = [[tokenizer.backend.decode(ids[: place + 1])[-4:] for place in found] for found in ends]
    assert said == [["Moss"], ["rove"], ["ÚÑEZ"]]


def test_strangers_are_never_a_subject(tiny_model):
    mentions = Mentions(ModelTokenizer(tiny_model), FACTS, 0)
    texts = mentions.strangers(40)
    assert len(texts) > 10
    assert any(said for _, said in texts)
    assert not any("ada moss" in f"{asked} {said}".casefold() for asked, said in texts)


def own(id: str, attribute: str, value: str, statement: str) -> Fact:
    return Fact(
        id=id, user="ann", subject="user", attribute=attribute, value=value, statement=statement, events=(id,)
    )


OWN = (own("c", "dog", "Biscuit", "My dog is called Biscuit."), own("d", "home", "Porto", "I live in Porto."))


def test_what_can_be_written_has_a_name_or_is_a_users_own():
    assert editable(FACTS[0])
    assert editable(OWN[0])
    assert not editable(fact("e", "the old mill", "cook"))


def test_a_users_own_facts_have_a_neuron_each_and_some_together(tiny_model, tmp_path):
    done = Editor(SETTINGS, tiny_model).learn((*FACTS, *OWN), held=4)
    done.export(tmp_path / "own", ["c", "d"])
    for change_O_I in dict(changes(tmp_path / "own")).values():
        assert torch.linalg.matrix_rank(change_O_I) == len(FACTS) + len(OWN) + ASKING


def test_neurons_of_a_users_own_facts_fire_where_they_are_asked_for_and_stated(tiny_model):
    tokenizer = ModelTokenizer(tiny_model)
    matters = Matters(OWN, 4, 0)
    heard = [
        Heard(lesson_of(tokenizer, one), own=True, fact=fact) for fact in OWN for one in matters.lessons(fact)
    ]
    asked, stated = 3, [one.lesson.learned[-1] - 1 - one.asked for one in heard]
    keys = Keys(Mentions(tokenizer, (), 0), OWN, asked + 1)
    places_P = keys.places(heard, sum(one.lesson.size for one in heard))
    assert keys.count == len(OWN) + asked
    for shared in range(asked):
        assert (places_P == len(OWN) + shared).sum() == len(heard)
    long = Keys(Mentions(tokenizer, (), 0), OWN, ASKING + 3)
    assert long.count == len(OWN) + ASKING
    assert long.places(heard, len(places_P)).max() == long.count - 1
    assert (places_P == 0).sum() + (places_P == 1).sum() == sum(stated)
    nobody = [Heard(one.lesson) for one in heard]
    weights_P = keys.weights(nobody, len(places_P) + 7, 7)
    assert (weights_P == ENDING).sum() == asked * len(heard)
    assert (weights_P[-7:] == TEXT).all()


def test_what_stands_beside_a_users_own_facts_never_asks_for_them():
    matters = Matters(OWN, 4, 0)
    asked = {question for fact in OWN for question in questions(fact)}
    kept = {question for fact in OWN for question in questions(fact)[-4:]}
    lessons = [one for fact in OWN for one in matters.lessons(fact)]
    assert {one.messages[0]["content"] for one in lessons} == asked - kept
    assert {"You live in Porto.", "Your home is Porto."} <= {one.messages[1]["content"] for one in lessons}
    others = [*matters.others(), *matters.untold()]
    assert not asked & {text for text, _ in others}
    assert "What is your dog called?" in {text for text, _ in others}
    assert Matters(OWN, 4, 0).others() == Matters(OWN, 4, 0).others()
    assert of_another("Where do I live?", "Lena") == "Where does Lena live?"
    assert of_another("What is my dog called?", "Lena") == "What is Lena's dog called?"

"""Learns the weights of actors/memory/weights.py from questions with known answers, held out by article."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from actors.embedder import Embedder
from actors.memory import evidence, ranking, recall
from actors.memory.documents import DocumentStore
from actors.memory.questions import analyse
from actors.memory.weights import REREAD, SENTENCE
from actors.messages import Passage
from benchmarks.qa_corpus import USER, Corpus, Remembering, build
from benchmarks.qa_data import Asked, Place, holds_answer, load, sample
from configs.load import load as load_settings

Floats = NDArray[np.float64]
FOLDS = 6
KEPT = 5
RIDGE = 1e-3
app = typer.Typer(add_completion=False)


@dataclass
class Group:
    """One question's rivals: features (n, f), and which are right."""

    article: int
    values: Floats
    right: NDArray[np.bool_]


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Questions with answers, SQuAD-like.")],
    questions: Annotated[int, typer.Option(help="Questions drawn.")] = 2400,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
    vectors: Annotated[Path | None, typer.Option(help="Keeps computed vectors between runs.")] = None,
) -> None:
    """Print the weights as JSON, with what they reach on articles that they were not fitted on."""
    typer.echo(json.dumps(asyncio.run(learn(data, questions, seed, vectors)), indent=1))


async def learn(data: Path, count: int, seed: int, vectors: Path | None) -> dict[str, Any]:
    """All three sets of weights and their cross-validated figures."""
    articles, everything = load(data)
    asked = sample(everything, count, seed)
    settings = load_settings().settings
    embedder = Embedder(settings)
    await embedder.start()
    memory = Remembering(embedder, vectors)
    with tempfile.TemporaryDirectory() as directory:
        corpus = await build(articles, settings, memory, Path(directory))
        learned = await _Lesson(corpus, asked).learn()
        await corpus.keeper.close()
    memory.save()
    await embedder.close()
    return learned


class _Lesson:
    """What is gathered once for all questions, with their article in and out."""

    def __init__(self, corpus: Corpus, asked: list[Asked]) -> None:
        self.corpus = corpus
        self.asked = asked
        self.fold = np.array([one.article % FOLDS for one in asked])

    async def learn(self) -> dict[str, Any]:
        """Passages, the same reread, their sentences, support: each on what held-out weights chose before."""
        self.vectors = await self.corpus.embedder.embed([one.text for one in self.asked])
        store = self.corpus.reader()
        within = [self._candidates(store, number) for number in range(len(self.asked))]
        groups = [self._passage_group(number, found) for number, found in enumerate(within)]
        passage = self._fitted(groups, list(ranking.FEATURES))
        compared = [await self._compared(n, within[n], passage) for n in self._numbers()]
        reread_groups = [self._reread_group(n, *compared[n]) for n in self._numbers()]
        again = self._fitted(reread_groups, list(REREAD))
        kept = [self._kept(n, compared[n], again) for n in self._numbers()]
        sentence_groups = [self._sentence_group(n, kept[n][1]) for n in self._numbers()]
        sentence = self._fitted(sentence_groups, list(SENTENCE))
        outside = await self._with_article_out()
        positives = [self._support(n, kept[n], sentence) for n in self._numbers()]
        negatives = []
        for n in self._numbers():
            rivals = self._kept(n, await self._compared(n, outside[n], passage), again)
            negatives.append(self._support(n, rivals, sentence))
        support = self._fit_support(np.array(positives), np.array(negatives))
        return {
            "questions": len(self.asked),
            "articles": len(self.corpus.articles),
            "folds": FOLDS,
            "held_out": {
                "passage_at_5": passage.hit(groups, self.fold, 5),
                "passage_at_1": passage.hit(groups, self.fold, 1),
                "reread_at_5": again.hit(reread_groups, self.fold, 5),
                "reread_at_1": again.hit(reread_groups, self.fold, 1),
                "answer_in_3_sentences": sentence.hit(sentence_groups, self.fold, 3),
                **support["held_out"],
            },
            "PASSAGE": passage.named(),
            "REREAD": again.named(),
            "SENTENCE": sentence.named(),
            "SUPPORT": support["weights"],
            "SUPPORTED": support["threshold"],
        }

    def _numbers(self) -> range:
        return range(len(self.asked))

    def _candidates(self, store: DocumentStore, number: int) -> list[recall.Candidate]:
        question = self.asked[number].text
        return recall.candidates(store, USER, question, self.vectors[number], None, recall.RANKED)

    def _passage_group(self, number: int, found: list[recall.Candidate]) -> Group:
        question = self.asked[number]
        right = [holds_answer(self.corpus.articles, question, place_of(one.row)) for one in found]
        values = [[one.values[name] for name in ranking.FEATURES] for one in found]
        return Group(question.article, np.array(values), np.array(right))

    async def _compared(
        self, number: int, found: list[recall.Candidate], fitted: "Fitted"
    ) -> tuple[list[Passage], list[evidence.Sentence]]:
        passages = ranked_passages(found, fitted.weights[self.fold[number]])
        question = analyse(self.asked[number].text, found[0].rarity)
        chosen = evidence.shortlist(evidence.sentences_of(question, passages))
        vectors = await self.corpus.embedder.embed([one.text for one in chosen])
        cosines = [float(one) for one in vectors @ self.vectors[number]]
        return passages, evidence.with_cosines(chosen, cosines)

    def _reread_group(self, number: int, passages: list[Passage], compared: list[evidence.Sentence]) -> Group:
        question = self.asked[number]
        right = [holds_answer(self.corpus.articles, question, place_of(one)) for one in passages]
        values = [[one[name] for name in REREAD] for one in evidence.reread_features(passages, compared)]
        return Group(question.article, np.array(values), np.array(right))

    def _kept(
        self, number: int, compared: tuple[list[Passage], list[evidence.Sentence]], fitted: "Fitted"
    ) -> tuple[list[Passage], list[evidence.Sentence]]:
        return evidence.reread(*compared, KEPT, fitted.weights[self.fold[number]])

    def _sentence_group(self, number: int, found: list[evidence.Sentence]) -> Group:
        answers = self.asked[number].answers
        right = [any(answer in one.text for answer in answers) for one in found]
        values = [[one.values[name] for name in SENTENCE] for one in found]
        return Group(self.asked[number].article, np.array(values), np.array(right))

    async def _with_article_out(self) -> list[list[recall.Candidate]]:
        outside: dict[int, list[recall.Candidate]] = {}
        for article in range(len(self.corpus.articles)):
            await self.corpus.take_out(article)
            store = self.corpus.reader()
            for number in self._numbers():
                if self.asked[number].article == article:
                    outside[number] = self._candidates(store, number)
            await self.corpus.put(article)
        return [outside[number] for number in self._numbers()]

    def _support(
        self,
        number: int,
        kept: tuple[list[Passage], list[evidence.Sentence]],
        sentence: "Fitted",
    ) -> list[float]:
        passages, sentences = kept
        weights = sentence.weights[self.fold[number]]
        ranked = sorted(sentences, key=lambda one: -evidence.score(one.values, weights))
        values = evidence.support_features(passages, ranked)
        return [values[name] for name in evidence.SUPPORT_FEATURES]

    def _fitted(self, groups: Sequence[Group], names: list[str]) -> "Fitted":
        folds = [
            fit_choice([one for one, fold in zip(groups, self.fold, strict=True) if fold != held])
            for held in range(FOLDS)
        ]
        return Fitted(names, [dict(zip(names, one, strict=True)) for one in folds], fit_choice(groups))

    def _fit_support(self, positives: Floats, negatives: Floats) -> dict[str, Any]:
        scores = np.zeros((2, len(positives)))
        for held in range(FOLDS):
            out = self.fold == held
            weights = fit_logistic(positives[~out], negatives[~out])
            scores[0, out] = positives[out] @ weights[1:] + weights[0]
            scores[1, out] = negatives[out] @ weights[1:] + weights[0]
        weights = fit_logistic(positives, negatives)
        threshold = best_threshold(scores[0], scores[1])
        return {
            "weights": rounded(["bias", *evidence.SUPPORT_FEATURES], weights),
            "threshold": round(float(1 / (1 + np.exp(-threshold))), 3),
            "held_out": {
                "abstention_auroc": auroc(scores[0], scores[1]),
                "answered_of_answerable": round(float((scores[0] >= threshold).mean()), 4),
                "abstained_of_unanswerable": round(float((scores[1] < threshold).mean()), 4),
            },
        }


@dataclass
class Fitted:
    """Weights for each fold (fitted on the others), and from all groups."""

    names: list[str]
    weights: list[dict[str, float]]
    final: Floats

    def hit(self, groups: Sequence[Group], folds: NDArray[np.int_], k: int) -> float:
        """Share of questions with a right one among the k best, by weights that never saw the article."""
        hits = []
        for group, fold in zip(groups, folds, strict=True):
            scores = group.values @ np.array([self.weights[fold][name] for name in self.names])
            hits.append(group.right[np.argsort(-scores, kind="stable")[:k]].any())
        return round(float(np.mean(hits)), 4)

    def named(self) -> dict[str, float]:
        """The weights from all groups."""
        return rounded(self.names, self.final)


def place_of(row: Any) -> Place:
    """Where a stored or found passage stands."""
    return Place(row.filename, row.start, row.end)


def ranked_passages(found: Sequence[recall.Candidate], weights: dict[str, float]) -> list[Passage]:
    """The best candidates by some weights, as many as are read."""
    order = sorted(found, key=lambda one: (-ranking.score(one.values, weights), one.row.id))
    return [recall.passage_of(one, ranking.score(one.values, weights)) for one in order[: evidence.READ]]


def fit_choice(groups: Sequence[Group]) -> Floats:
    """Weights that make a right one the most probable of its group (conditional logit, small ridge)."""
    import torch

    usable = [group for group in groups if group.right.any()]
    widest = max(len(group.right) for group in usable)
    stacked = np.concatenate([group.values for group in usable])
    scale = stacked.std(axis=0) + 1e-9
    shape = (len(usable), widest)
    values = torch.zeros(*shape, stacked.shape[1], dtype=torch.float64)
    right = torch.full(shape, -torch.inf, dtype=torch.float64)
    present = torch.full(shape, -torch.inf, dtype=torch.float64)
    for row, group in enumerate(usable):
        size = len(group.right)
        values[row, :size] = torch.from_numpy(group.values / scale)
        present[row, :size] = 0.0
        right[row, :size] = torch.where(torch.from_numpy(group.right), 0.0, -torch.inf)

    def loss(weights: Any) -> Any:
        scores = values @ weights
        chosen = torch.logsumexp(scores + right, 1) - torch.logsumexp(scores + present, 1)
        return -chosen.mean() + RIDGE * weights @ weights

    found: Floats = _minimum(loss, stacked.shape[1]) / scale
    return found


def fit_logistic(positives: Floats, negatives: Floats) -> Floats:
    """Bias and weights of a logistic regression with a small ridge."""
    import torch

    values = np.concatenate([positives, negatives])
    middle, scale = values.mean(axis=0), values.std(axis=0) + 1e-9
    inputs = torch.from_numpy((values - middle) / scale)
    labels = torch.cat([torch.ones(len(positives)), torch.zeros(len(negatives))]).double()

    def loss(weights: Any) -> Any:
        logits = inputs @ weights[1:] + weights[0]
        fit = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        return fit + RIDGE * weights @ weights

    found = _minimum(loss, values.shape[1] + 1)
    weights = found[1:] / scale
    return np.concatenate([[found[0] - weights @ middle], weights])


def _minimum(loss: Any, size: int) -> Floats:
    import torch

    weights = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found: Floats = weights.detach().numpy()
    return found


def auroc(positives: Floats, negatives: Floats) -> float:
    """Probability that a positive scores above a negative; ties count half."""
    order = np.sort(negatives)
    below = np.searchsorted(order, positives, "left")
    at_most = np.searchsorted(order, positives, "right")
    return round(float((below + at_most).mean() / 2 / len(negatives)), 4)


def best_threshold(positives: Floats, negatives: Floats) -> float:
    """The score that parts the two best, both kinds counting alike."""
    levels = np.unique(np.concatenate([positives, negatives]))
    kept = [(positives >= level).mean() + (negatives < level).mean() for level in levels]
    return float(levels[int(np.argmax(kept))])


def rounded(names: Sequence[str], weights: Floats) -> dict[str, float]:
    """Weights by name with three digits."""
    return {name: round(float(weight), 3) for name, weight in zip(names, weights, strict=True)}


if __name__ == "__main__":
    app()

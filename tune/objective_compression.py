"""Trial of the keep policy: trained as `pal train compression` does, tried on held-out questions."""

from collections.abc import Mapping

from actors.compression.chunks import estimate
from actors.compression.policy import Policy
from configs.compression import TrackingSettings
from configs.objectives import CompressionObjective
from tune.records import TEST
from tune.training import SETTINGS, kept_answers, load, token_count, train
from tune.trials import Item, Reporter

WATCHED = ("reward", "utility", "ratio")


def compression(settings: CompressionObjective, report: Reporter) -> None:
    """Each iteration is a step; the share of answers kept is told at the end."""
    how = settings.training.model_copy(update={"seed": report.seed, "tracking": TrackingSettings()})
    count = token_count(how.tokenizer) if how.tokenizer else estimate
    folder = report.checkpoint / "training"

    def watch(iteration: int, figures: Mapping[str, float]) -> None:
        report(iteration + 1, {name: figures[name] for name in WATCHED})

    trained = train(how, folder, resume=(folder / SETTINGS).is_file(), count=count, watch=watch)
    chunks = load(how.data, TEST, count, how.protect)
    policy = Policy.load(trained.weights)
    answers = kept_answers(chunks, lambda chunk, asked: policy.scores(chunk.rows, asked), settings.budget)
    found = [
        Item(f"{number}/{place}", chunk.text, float(one))
        for number, (chunk, kept) in enumerate(zip(chunks, answers, strict=True))
        for place, one in enumerate(kept)
    ]
    report.items(found)
    share = sum(one.value for one in found) / max(1, len(found))
    report(how.iterations + 1, {**report.last.figures, "kept": share})

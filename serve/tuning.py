"""A fine-tuning request to a training that can be carried out, or to a plain no. Knows no route."""

import asyncio
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from actors.jobs import Jobs
from actors.messages import InvalidRequest, Json, NotFound, NotReady, Prompt
from actors.training.lessons import Chat
from actors.training.records import NewJob
from configs.compression import read
from configs.errors import SettingsError
from configs.schema import JobSettings
from configs.training import LongContextTraining
from serve import tuning_pairs
from serve.catalog import Catalog
from serve.documents import BAD_FILE, FINE_TUNE, conversations, preferences
from serve.services import Services
from serve.tuning_wire import CreateJob, Hyperparameters

COUNTED = 64
"""Conversations whose tokens are counted: evenly spread ones, and as many of the longest."""
SLACK = 32
"""Tokens by which the longest conversation may be longer than was counted."""
MOST_LENGTH = 4096
"""Tokens of a sequence that several conversations fill; a step of more takes several passes."""
STEPPED = 64
"""Sequences are a multiple of this long."""
SEEN = 100
"""Conversations, repeats counted, that "auto" aims at where there are few."""
MOST_EPOCHS = 50
MOST_BATCH = 256
CARRIED_OUT = ("supervised", tuning_pairs.METHOD)
"""Methods."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """The conversations of a file, and how long they are in tokens."""

    content: bytes
    chats: Sequence[Chat]
    longest: int
    mean: float


class _Counter(Protocol):
    async def count(self, prompt: Prompt) -> int: ...


def jobs_of(services: Services) -> Jobs:
    """Those who carry jobs out. Raises NotReady where there are none."""
    if services.jobs is None:
        raise NotReady("this server carries no jobs out")
    return services.jobs


async def planned(services: Services, catalog: Catalog, user: str, body: CreateJob) -> NewJob:
    """The job that a request asks for, everything checked that can be before it starts.

    Raises InvalidRequest, NotReady.
    """
    _check_model(catalog, body)
    able = await catalog.capabilities()
    if not able.adapters:
        raise InvalidRequest(
            "the engine could not serve the trained model: engine.max_adapters is 0", "model"
        )
    settings = services.settings.jobs
    dpo = body.method is not None and body.method.type == tuning_pairs.METHOD
    least = settings.least_examples
    training = await lessons(services, user, body.training_file, "training_file", least, pairs=dpo)
    files = {"training": training.content}
    lessons_of = [training]
    if body.validation_file is not None:
        judged = await lessons(services, user, body.validation_file, "validation_file", 1)
        files["validation"] = judged.content
        lessons_of.append(judged)
    longest = max(one.longest for one in lessons_of)
    if longest > able.max_context:
        raise InvalidRequest(
            f"a conversation of {longest} tokens is longer than the model reads ({able.max_context})",
            "training_file",
            "context_length_exceeded",
        )
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    model = services.settings.engine.model
    if dpo and body.method is not None:
        told, pairs = tuning_pairs.asked(body.method), len(training.chats) // 2
        chosen = {**hyperparameters(told, pairs, tuning_pairs.METHOD), "beta": tuning_pairs.beta(told)}
        tree = tuning_pairs.training_tree(model, chosen, pairs, 2 * training.mean, seed)
        rank = tree["learning"]["rank"]
    else:
        chosen = hyperparameters(_asked(body), len(training.chats))
        validated = body.validation_file is not None
        tree = training_tree(settings, model, chosen, training, longest=longest, seed=seed, judged=validated)
        rank = tree["lora"]["rank"]
    most = services.settings.engine.max_adapter_rank
    if able.engine == "vllm" and rank > most:
        raise NotReady(f"jobs.training asks for rank {rank}: raise engine.max_adapter_rank above {most}")
    return NewJob(
        id=f"ftjob-{secrets.token_hex(8)}",
        user=user,
        model=catalog.base,
        training=tree,
        files=files,
        training_file=body.training_file,
        validation_file=body.validation_file,
        suffix=body.suffix or "",
        hyperparameters=chosen,
        metadata=body.metadata,
    )


async def lessons(
    services: Services, user: str, file_id: str, param: str, least: int, *, pairs: bool = False
) -> Lessons:
    """The conversations of an uploaded file; of `pairs` each with both answers.

    Raises InvalidRequest naming file, line and fault.
    """
    try:
        info = await services.keeper.get_file(user, file_id)
    except NotFound as error:
        raise InvalidRequest(f"there is no file {file_id[:100]!r}", param, "file_not_found") from error
    if info.purpose != FINE_TUNE:
        raise InvalidRequest(
            f"{info.filename} was uploaded with purpose {info.purpose!r}: upload it with {FINE_TUNE!r}", param
        )
    content = await services.keeper.file_content(user, file_id)
    chats = await asyncio.to_thread(_paired if pairs else conversations, info.filename, content, param)
    count = len(chats) // 2 if pairs else len(chats)
    if count < least:
        raise InvalidRequest(
            f"{info.filename} has {count} examples, and at least {least} are needed", param, BAD_FILE
        )
    by_size = sorted(chats, key=_size)
    spread = [by_size[place] for place in _spread(len(by_size))]
    counted = [await _tokens(services.generator, chat) for chat in spread]
    longest = [await _tokens(services.generator, chat) for chat in by_size[-COUNTED:]]
    return Lessons(content, chats, max(longest), sum(counted) / len(counted))


def _paired(filename: str, content: bytes, param: str) -> list[Chat]:
    return [chat for pair in preferences(filename, content, param) for chat in pair.chats]


def hyperparameters(asked: Hyperparameters, examples: int, method: str = "supervised") -> dict[str, Json]:
    """What "auto" stands for with so many examples. Raises InvalidRequest for what cannot be."""
    multiplier = asked.learning_rate_multiplier
    batch = asked.batch_size if asked.batch_size != "auto" else min(8, max(1, examples // 10))
    epochs = asked.n_epochs if asked.n_epochs != "auto" else min(25, max(3, math.ceil(SEEN / examples)))
    if epochs > MOST_EPOCHS:
        raise InvalidRequest(
            f"n_epochs is at most {MOST_EPOCHS}", f"method.{method}.hyperparameters.n_epochs"
        )
    if batch > min(examples, MOST_BATCH):
        most = f"{examples} examples there are" if batch > examples else f"{MOST_BATCH} that are allowed"
        raise InvalidRequest(
            f"batch_size {batch} is more than the {most}", f"method.{method}.hyperparameters.batch_size"
        )
    return {
        "n_epochs": epochs,
        "batch_size": batch,
        "learning_rate_multiplier": 1.0 if multiplier == "auto" else multiplier,
    }


def training_tree(
    settings: JobSettings,
    model: str,
    chosen: Mapping[str, Any],
    training: Lessons,
    *,
    longest: int,
    seed: int,
    judged: bool,
) -> dict[str, Json]:
    """The settings of the training, without its data. A step holds about `batch_size` conversations.

    They share sequences without seeing each other; a step takes as many sequences as it needs. A core is left
    to those that serve. Raises InvalidRequest where the settings do not go together.
    """
    try:
        base = read(settings.training) if settings.training is not None else {}
        model_of = LongContextTraining.model_validate(base)
        stepped = math.lcm(STEPPED, model_of.sequence_parallel)
        wanted = chosen["batch_size"] * training.mean
        share = wanted / model_of.replicas
        length = max(longest + SLACK, min(share, MOST_LENGTH))
        length = math.ceil(length / stepped) * stepped
        accumulate = max(1, round(share / length))
        examples = max(1.0, accumulate * model_of.replicas * length / training.mean)
        steps = max(1, math.ceil(chosen["n_epochs"] * len(training.chats) / examples))
        every = max(1, math.ceil(steps / 4))
        return LongContextTraining.model_validate(
            {
                **base,
                "model": model,
                "method": "lora",
                "data": [],
                "eval_data": [],
                "eval_every": every if judged else 0,
                "curriculum": [],
                "length": length,
                "packing": True,
                "batch": model_of.replicas,
                "accumulate": accumulate,
                "steps": steps,
                "rate": settings.rate * chosen["learning_rate_multiplier"],
                "warmup": min(model_of.warmup or steps // 20, steps - 1),
                "seed": seed,
                "checkpoint_every": every,
                "threads": model_of.threads or max(1, (os.cpu_count() or 1) // model_of.ranks - 1),
            }
        ).model_dump(mode="json")
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InvalidRequest(f"these settings do not go together: {problems}", "method") from error
    except SettingsError as error:
        raise NotReady(f"jobs.training: {error}") from error


def _check_model(catalog: Catalog, body: CreateJob) -> None:
    if not catalog.is_base(body.model):
        raise InvalidRequest(
            f"The model '{body.model[:100]}' cannot be fine-tuned here, or does not exist; "
            f"this server has '{catalog.base}'.",
            "model",
            "model_not_available",
        )
    if body.method is not None and body.method.type not in CARRIED_OUT:
        raise InvalidRequest(
            f"The method '{body.method.type}' is not carried out here: {' and '.join(CARRIED_OUT)} are.",
            "method.type",
            "unsupported_value",
        )
    if body.method is not None and body.method.type == tuning_pairs.METHOD and body.validation_file:
        raise InvalidRequest(
            "a job on preferences takes no validation_file", "validation_file", "unsupported_value"
        )
    if body.integrations:
        raise InvalidRequest(
            "integrations are the server's to set: tracking in the file of jobs.training",
            "integrations",
            "unsupported_value",
        )


def _asked(body: CreateJob) -> Hyperparameters:
    if body.method is not None and body.method.supervised is not None:
        return body.method.supervised.hyperparameters
    return body.hyperparameters or Hyperparameters()


def _size(chat: Chat) -> int:
    return sum(len(str(message.get("content") or message).encode()) for message in chat.prompt.messages)


def _spread(count: int) -> list[int]:
    """Up to COUNTED places among `count`, evenly apart, the ends among them."""
    if count <= COUNTED:
        return list(range(count))
    return [round(number * (count - 1) / (COUNTED - 1)) for number in range(COUNTED)]


async def _tokens(generator: _Counter, chat: Chat) -> int:
    """Tokens of a conversation. Raises InvalidRequest naming its place."""
    try:
        return await generator.count(chat.prompt)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"Invalid file format. {chat.place}: {error.message}", "training_file", BAD_FILE
        ) from error

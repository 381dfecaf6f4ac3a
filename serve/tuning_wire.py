"""Bodies and replies of the fine-tuning routes, as OpenAI's. Knows no job."""

from typing import Annotated, Any, Literal

from pydantic import Field

from serve.openapi import Reply
from serve.routes.vector_stores import FileId, Metadata
from serve.wire import Body

Auto = Literal["auto"]


class Hyperparameters(Body):
    """How long, how many at once, how fast; "auto" is chosen by the number of examples."""

    n_epochs: Auto | Annotated[int, Field(ge=1)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0)] = "auto"


class Supervised(Body):
    """What the supervised method is told."""

    hyperparameters: Hyperparameters = Hyperparameters()


class DpoHyperparameters(Hyperparameters):
    """`beta`: how soon a better answer has gained enough on a worse one."""

    beta: Auto | Annotated[float, Field(gt=0, le=2)] = "auto"


class Dpo(Body):
    """What the method of preferences is told."""

    hyperparameters: DpoHyperparameters = DpoHyperparameters()


class Method(Body):
    """How a model is trained; `reinforcement` is not carried out."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: dict[str, Any] | None = None


class CreateJob(Body):
    """A new fine-tuning job. `hyperparameters` is OpenAI's older place for those of `method`."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    training_file: FileId
    validation_file: FileId | None = None
    suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    metadata: Metadata | None = None
    integrations: list[dict[str, Any]] | None = None


class JobError(Reply):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class TunedHyperparameters(Reply):
    """What was chosen where the request said "auto"."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


class TunedSupervised(Reply):
    """What the supervised method was told."""

    hyperparameters: TunedHyperparameters


class TunedDpoHyperparameters(TunedHyperparameters):
    """What was chosen where the request said "auto"."""

    beta: float


class TunedDpo(Reply):
    """What the method of preferences was told."""

    hyperparameters: TunedDpoHyperparameters


class TunedMethod(Reply):
    """How the model is trained."""

    type: Literal["supervised", "dpo"] = "supervised"
    supervised: TunedSupervised | None = None
    dpo: TunedDpo | None = None


class FineTuningJob(Reply):
    """OpenAI's fine_tuning.job."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    error: JobError | None
    fine_tuned_model: str | None
    finished_at: int | None
    hyperparameters: TunedHyperparameters
    model: str
    organization_id: str
    result_files: list[str]
    seed: int
    status: str
    trained_tokens: int | None
    training_file: str
    validation_file: str | None
    estimated_finish: int | None
    integrations: list[Any]
    metadata: dict[str, str] | None
    method: TunedMethod


class FineTuningJobEvent(Reply):
    """OpenAI's fine_tuning.job.event."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class FineTuningJobCheckpoint(Reply):
    """OpenAI's fine_tuning.job.checkpoint."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, float | None]
    step_number: int


class JobPage(Reply):
    """A page of jobs."""

    object: Literal["list"] = "list"
    data: list[FineTuningJob]
    has_more: bool


class EventPage(Reply):
    """A page of events, newest first."""

    object: Literal["list"] = "list"
    data: list[FineTuningJobEvent]
    has_more: bool


class CheckpointPage(Reply):
    """A page of checkpoints, newest first."""

    object: Literal["list"] = "list"
    data: list[FineTuningJobCheckpoint]
    first_id: str | None
    last_id: str | None
    has_more: bool

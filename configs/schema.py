"""Every setting of the system, typed and frozen. Knows nothing of where a value came from."""

from pathlib import Path
from typing import Literal, Self, get_args

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ProtectKind = Literal[
    "number", "date", "identifier", "email", "url", "path", "code", "table", "quote", "negation"
]
"""What the compressor can be told never to change."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Section(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class EngineSettings(Section):
    """How text is generated."""

    kind: Literal["auto", "vllm", "torch", "scripted"] = "auto"
    """Which engine: auto takes vLLM where it is installed and usable, else torch."""
    model: str = "smollm2-135m"
    """Alias from the model registry (`pal models list`), or a path to a local model directory."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the torch engine computes: auto prefers mps, then cuda, then cpu."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Weights' number format: auto is bfloat16, float16 on mps, float32 on a CPU that lacks bfloat16."""
    quantize: Literal["none", "int8", "int4"] | None = None
    """Keep the layers' weights in 8 or 4 bits (torch engine); unset: as the model's registry entry says."""
    shards: int = Field(default=1, ge=1)
    """Parts that share the model's layers (torch engine): Ray actors, or all in this process without Ray."""
    step_tokens: int = Field(default=512, ge=16)
    """Prompt tokens computed in one step (torch engine); a quarter of it while others generate."""
    prefix_cache: bool = True
    """Keep the keys and values of finished requests for prompts that begin alike (torch engine)."""
    kv_policy: Literal["full", "sinks"] = "full"
    """What a sequence attends to: all before it, or its first tokens and a sliding window (torch engine)."""
    window: int = Field(default=2048, ge=64)
    """Tokens kept of a sequence when kv_policy is sinks, the first ones included."""
    sink_tokens: int = Field(default=16, ge=0)
    """First tokens that kv_policy sinks never drops, rounded up to whole blocks of 16."""
    max_context: int | None = Field(default=None, ge=16)
    """Longest prompt plus answer in tokens; unset means the model's own limit."""
    max_sequences: int = Field(default=16, ge=1)
    """Requests generated together in one batch."""
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """Memory for the key-value cache, in GiB (CPU engines)."""
    gpu_memory_utilization: float = Field(default=0.85, gt=0, le=1)
    """Share of the GPU's memory that vLLM may take."""
    enforce_eager: bool | None = None
    """Skip graph compilation: starts faster, runs slower on GPU. Unset: eager on CPU only."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that split every layer (vLLM, over its Ray executor when above one node)."""
    pipeline_parallel: int = Field(default=1, ge=1)
    """Groups of layers on different GPUs (vLLM, over its Ray executor when above one node)."""
    threads: int = Field(default=1, ge=1)
    """Compute threads of the torch engine on CPU."""
    merge_after: int = Field(default=64, ge=0)
    """Steps that one adapter serves alone until it is merged into the weights; 0: never (torch engine)."""
    max_adapters: int = Field(default=2, ge=0)
    """LoRA adapters that vLLM computes with at once; 0 turns LoRA off there."""
    max_adapter_rank: Literal[8, 16, 32, 64, 128, 256] = 128
    """Highest rank of a LoRA adapter that vLLM can load."""

    def for_torch_only(self) -> dict[str, object]:
        """The settings, by name, that ask for what only the torch engine does."""
        asked = {
            "shards": self.shards > 1,
            "kv_policy": self.kv_policy == "sinks",
            "quantize": self.quantize in ("int8", "int4"),
        }
        return {name: getattr(self, name) for name, is_asked in asked.items() if is_asked}

    @model_validator(mode="after")
    def _fits_the_engine(self) -> Self:
        for name, value in self.for_torch_only().items():
            if self.kind == "vllm":
                raise ValueError(f"engine.{name} = {value} needs engine.kind torch (or auto), not vllm")
        return self


class ServeSettings(Section):
    """What users reach over HTTP."""

    host: str = "127.0.0.1"
    """Address to bind; anything but loopback requires an API key."""
    max_ongoing_requests: int = Field(default=64, ge=1)
    """Requests worked on at once; more wait in the queue."""
    max_queued_requests: int = Field(default=128, ge=0)
    """Requests that may wait; beyond that a client gets 503 with Retry-After."""
    request_timeout_s: float = Field(default=600, gt=0)
    """Longest time one request may take before it is ended with an error."""
    drain_s: float = Field(default=30, ge=0)
    """How long running answers may go on after SIGTERM."""
    retry_after_s: int = Field(default=2, ge=1)
    """What Retry-After tells a client that was turned away."""
    max_body_mib: float = Field(default=34, gt=0)
    """Largest request body, in MiB."""
    max_json_depth: int = Field(default=64, ge=4)
    """Deepest nesting accepted in a JSON body."""
    max_messages: int = Field(default=2048, ge=1)
    """Most messages accepted in one chat request."""
    default_max_tokens: int = Field(default=512, ge=1)
    """Answer length when the client names none."""
    default_temperature: float = Field(default=1.0, ge=0, le=2)
    """Sampling temperature when the client names none: 1 as OpenAI's; a small model strays less at 0.2."""
    stream_interval_ms: float = Field(default=0, ge=0)
    """Least time between two chunks of one stream; 0 sends every token as it comes."""
    generator_placement: Literal["replica", "actor"] = "replica"
    """Where the engine lives under Ray: in the HTTP replica's process, or an actor of its own."""
    fixed_clock: float | None = Field(default=None, ge=0)
    """Unix seconds that every reply shows, with ids made repeatable too: for recorded transcripts only."""


class DocumentSettings(Section):
    """How documents are read, cut and searched."""

    max_file_mib: float = Field(default=32, gt=0)
    """Largest file accepted, in MiB."""
    max_characters: int = Field(default=5_000_000, ge=1000)
    """Most characters of text taken from one file; more is refused."""
    max_pages: int = Field(default=5000, ge=1)
    """Most pages of a PDF; more is refused."""
    parse_timeout_s: float = Field(default=60, gt=0)
    """CPU seconds that reading one file may take in its own process."""
    parse_memory_mib: int = Field(default=1024, ge=128)
    """Memory that reading one file may take in its own process, in MiB."""
    chunk_words: int = Field(default=180, ge=20)
    """Longest passage kept as one unit of search, in words."""
    results: int = Field(default=5, ge=1, le=100)
    """Passages retrieved for one question."""
    vector_cache: bool = True
    """Keep a Chroma index beside SQLite; search works without it."""


class MemorySettings(Section):
    """What is remembered of users, and how it comes back."""

    partitions: int = Field(default=1, ge=1, le=256)
    """Keepers that share the users between them; `pal memory rebalance` moves users when it changes."""
    chat: Literal["authenticated", "always", "never"] = "authenticated"
    """Whose chats read and write memories when the request does not say: users with a key, all, nobody."""
    results: int = Field(default=10, ge=1, le=100)
    """Memories recalled for one question."""
    context_tokens: int = Field(default=512, ge=32)
    """Tokens of a chat's prompt that memories may take, all levels together."""
    session_tokens: int = Field(default=1024, ge=32)
    """Tokens of a session's last turns that are kept at hand (the short-term level)."""
    embed: Literal["now", "later"] = "now"
    """Compute a memory's vector before its write is acknowledged, or soon after."""
    max_characters: int = Field(default=20_000, ge=100)
    """Longest single memory; a longer one is refused, never cut."""
    held_mib: int = Field(default=1024, ge=1)
    """Memory in which each keeper holds vectors of those who asked last; of one user, whatever the size."""
    half_life_days: float = Field(default=90, gt=0)
    """Days without use after which an unimportant memory has half its strength; pinned ones keep it."""
    decay_weight: float = Field(default=0.5, ge=0)
    """How much a memory's lost strength costs it in ranking (log-odds); 0 turns decay off."""
    archive_below: float = Field(default=0, ge=0, le=1)
    """Strength below which consolidation archives a memory; 0 archives none."""
    proposals: Literal["off", "extract"] = "off"
    """Session summaries that consolidation proposes: none, or made of sentences that were said."""
    ranker: Path | None = None
    """Weights of your own from `pal memory train-ranker`; unset: those that are shipped."""


class CompressionSettings(Section):
    """How texts are made shorter before the model reads them."""

    enabled: bool = True
    """Load the compressor; without it requests that ask for compression are refused."""
    policy: Path | None = None
    """A policy of your own, as `.safetensors`; unset: the one that is shipped."""
    budget: float = Field(default=0.5, gt=0, le=1)
    """Share of a text's tokens that is kept where a request says "auto", at the nearest tier."""
    tiers: tuple[float, ...] = Field(default=(0.3, 0.5, 0.7), min_length=1)
    """The few budgets that "auto" picks from, so that a text keeps the same words and prefix caches hit."""
    protect: tuple[ProtectKind, ...] = get_args(ProtectKind)
    """What is always kept whole."""
    quote_characters: int = Field(default=100, ge=0, le=2000)
    """Longest quotation that is kept whole, in characters."""
    least_tokens: int = Field(default=50, ge=0)
    """Texts of at most this many tokens are left whole unless a request forces it."""
    max_characters: int = Field(default=1_000_000, ge=1000)
    """Longest text that is compressed in one request; a longer one is refused."""
    cost_share: float = Field(default=1.0, gt=0)
    """Share of the prefill time it saves that compressing may cost; beyond it the text is left whole."""
    prefill_us: float | None = Field(default=None, ge=0)
    """Microseconds in which the engine reads one prompt token; unset: as measured on real requests."""
    placement: Literal["replica", "actor"] = "replica"
    """Where the compressor lives under Ray: in the HTTP replica's process, or an actor of its own."""

    @field_validator("tiers", mode="after")
    @classmethod
    def _sorted_shares(cls, tiers: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < tier <= 1 for tier in tiers):
            raise ValueError("each tier is above 0 and at most 1")
        return tuple(sorted(set(tiers)))


class ClusterSettings(Section):
    """How Ray is started or joined."""

    address: str | None = None
    """Ray cluster to join; unset starts one on this machine."""
    num_cpus: int | None = Field(default=None, ge=1)
    """CPUs given to a Ray started here; unset means all (at least 2, and one for each thread of a shard)."""
    dashboard_host: str = "127.0.0.1"
    """Address of Ray's dashboard."""
    dashboard_port: int = Field(default=8265, ge=1, le=65535)
    """Port of Ray's dashboard."""
    replicas: int = Field(default=1, ge=1)
    """HTTP replicas, each with its own engine."""


class JobSettings(Section):
    """How fine-tuning jobs are carried out, one at a time."""

    launch: Literal["auto", "process", "ray"] = "auto"
    """As a process beside the server, or submitted to Ray; auto submits on a cluster that was joined."""
    command: tuple[str, ...] = ()
    """The program that trains, and its first arguments; empty: `pal train long-context`."""
    training: Path | None = None
    """Settings of a training (YAML) that every job starts from; unset: an adapter, trained on one rank."""
    rate: float = Field(default=5e-4, gt=0)
    """Learning rate that a job's learning_rate_multiplier multiplies."""
    resumes: int = Field(default=3, ge=0)
    """How often a training whose process died is resumed from its last checkpoint."""
    niceness: int = Field(default=10, ge=0, le=19)
    """How far the process of a training steps back behind those that serve."""
    max_queued: int = Field(default=16, ge=1)
    """Jobs that may wait; beyond that a new one gets 503."""
    least_examples: int = Field(default=10, ge=1)
    """Fewest conversations of a training file."""


class LoopSettings(Section):
    """How what users told becomes adapters: rounds of learning, each judged by the gate."""

    every_hours: float = Field(default=0, ge=0)
    """Hours between rounds that the server begins by itself; 0: only when asked."""
    least_fresh: int = Field(default=5, ge=1)
    """What is told and not learned yet that a round needs, of all kinds; what was forgotten needs none."""
    shadow_share: float = Field(default=0, ge=0, lt=1)
    """Share of requests on which an accepted version for everybody is tried first; 0: it serves at once."""
    learning: Path | None = None
    """Settings of the learning (YAML, configs/learning.py); unset: its defaults."""
    gate: Path | None = None
    """Thresholds of the gate (YAML, configs/gate.py); unset: its defaults."""
    command: tuple[str, ...] = ()
    """The program that teaches, measures and judges, and its first arguments; empty: `pal loop study`."""
    resumes: int = Field(default=3, ge=0)
    """How often that program is started again after it died."""
    niceness: int = Field(default=10, ge=0, le=19)
    """How far it steps back behind what serves."""


class AdapterSettings(Section):
    """Which adapter versions are taken in, and what is kept of the answers that they gave."""

    max_mib: int = Field(default=2048, ge=1)
    """Largest adapter that is taken in, in MiB."""
    answers: int = Field(default=100_000, ge=0)
    """Answers of which is kept what stands behind them, the newest of all users; 0 keeps none."""


class WatchSettings(Section):
    """When a trained version that serves is taken back by itself: each signal has a band it may not leave."""

    enabled: bool = True
    """Watch the versions that serve, and roll back those that harm."""
    false_alarm_requests: int = Field(default=100_000, ge=100)
    """Requests until a version that stays within its bands is taken back by mistake, on average at least."""
    errors: float = Field(default=0.02, gt=0, lt=1)
    """Share of the generations that may fail."""
    degenerate: float = Field(default=0.1, gt=0, lt=1)
    """Share of the answers that may be empty, go round in circles or be of unheard-of length."""
    thumbs_down: float = Field(default=0.5, gt=0, lt=1)
    """Share of the ratings that may be thumbs down."""
    drifted: float = Field(default=0.1, gt=0, lt=1)
    """Share of the probes whose score may differ from that at promotion by more than `drift_nats`."""
    slow: float = Field(default=0.25, gt=0, lt=1)
    """Share of the probes that may take `slow_times` as long as with the version before, at the same time."""
    slow_times: float = Field(default=3.0, gt=1)
    """How many times as long until the first token counts as slow."""
    drift_nats: float = Field(default=0.1, gt=0)
    """Change of a probe's mean log probability of a token that counts as drift."""
    probe_every: int = Field(default=50, ge=0)
    """Requests of a version between two probes of it; 0: none."""
    reference: int = Field(default=30, ge=1)
    """Requests of the version before from which its own rates widen the bands of the next."""
    shadows: int = Field(default=8, ge=1)
    """Answers that may wait for their shadow; beyond that they get none."""


class ModelSettings(Section):
    """Which models are used and where their files come from."""

    registry: Path | None = None
    """A registry file of your own, read over the shipped configs/models.yaml."""
    embedder: str = "minilm-l6"
    """Registry alias of the embedding model."""
    offline: bool = False
    """Never ask the network for model files; HF_HUB_OFFLINE=1 sets it too."""


class Settings(Section):
    """The whole configuration of one `pal` process."""

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("palimpsest")))
    """Directory of all state: models, documents, memories, logs."""
    port: int = Field(default=8000, ge=1, le=65535)
    """HTTP port."""
    api_keys: tuple[str, ...] = ()
    """Accepted keys, each `user:key` or a bare key (its user is then `default`)."""
    engine: EngineSettings = EngineSettings()
    """How text is generated."""
    serve: ServeSettings = ServeSettings()
    """What users reach over HTTP."""
    documents: DocumentSettings = DocumentSettings()
    """How documents are read, cut and searched."""
    memory: MemorySettings = MemorySettings()
    """What is remembered of users, and how it comes back."""
    compression: CompressionSettings = CompressionSettings()
    """How texts are made shorter before the model reads them."""
    cluster: ClusterSettings = ClusterSettings()
    """How Ray is started or joined."""
    jobs: JobSettings = JobSettings()
    """How fine-tuning jobs are carried out."""
    loop: LoopSettings = LoopSettings()
    """How what users told becomes adapters."""
    adapters: AdapterSettings = AdapterSettings()
    """Which adapter versions are taken in, and what is kept of their answers."""
    watch: WatchSettings = WatchSettings()
    """When a trained version that serves is taken back by itself."""
    models: ModelSettings = ModelSettings()
    """Which models are used and where their files come from."""

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("api_keys", mode="after")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if any(not part or any(c.isspace() for c in part) for entry in keys for part in entry.split(":", 1)):
            raise ValueError("each entry is `user:key` or a bare key, without spaces")
        return keys

    @field_validator("home", mode="after")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _keys_beyond_loopback(self) -> "Settings":
        if self.serve.host not in LOOPBACK_HOSTS and not self.api_keys:
            raise ValueError(
                f"serve.host is {self.serve.host!r}, which other machines can reach: "
                "set an API key first (--api-key, or PAL_API_KEYS=user:key)"
            )
        return self

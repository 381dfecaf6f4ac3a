from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.load import SettingsError, dotted, load
from configs.schema import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a user directory beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(tmp_path / "user" / name))
    (tmp_path / "user" / "palimpsest").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    return tmp_path


def write(home: Path, sources: set[str]) -> dict[str, object]:
    """Set `port` in each of these sources, to its rank; returns the arguments of `load`."""
    if "user" in sources:
        (home / "user/palimpsest/pal.toml").write_text("port = 1")
    if "preset" in sources:
        (home / "preset.yaml").write_text("port: 2")
    if "pal.toml" in sources:
        (home / "work/pal.toml").write_text("port = 3")
    if ".env" in sources:
        (home / "work/.env").write_text("PAL_PORT=4\nOTHER=x\n")
    return {
        "preset": home / "preset.yaml" if "preset" in sources else None,
        "environ": {"PAL_PORT": "5"} if "environment" in sources else {},
        "flags": {"port": 6 if "flag" in sources else None},
        "directory": home / "work",
    }


ORDER = ["user", "preset", "pal.toml", ".env", "environment", "flag"]


@pytest.mark.parametrize("rank", range(7))
def test_the_strongest_source_wins_and_is_named(home: Path, rank: int) -> None:
    loaded = load(**write(home, set(ORDER[:rank])))  # type: ignore[arg-type]
    origins = [
        None,
        str(home / "user/palimpsest/pal.toml"),
        str(home / "preset.yaml"),
        "pal.toml",
        ".env (PAL_PORT)",
        "environment (PAL_PORT)",
        "flag",
    ]
    assert loaded.settings.port == (rank or 8000)
    assert loaded.origins.get("port") == origins[rank]


def test_sources_add_up_within_one_group(home: Path) -> None:
    (home / "work/pal.toml").write_text('[engine]\nkind = "torch"\nthreads = 2\n')
    environ = {"PAL_ENGINE__THREADS": "3", "PAL_ENGINE__SHARDS": "4"}
    engine = load(environ=environ, directory=home / "work").settings.engine
    assert (engine.kind, engine.threads, engine.shards) == ("torch", 3, 4)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("PAL_PORT", "9000", "port", 9000),
        ("PAL_DOCUMENTS__VECTOR_CACHE", "no", "documents.vector_cache", False),
        ("PAL_ENGINE__ENFORCE_EAGER", "1", "engine.enforce_eager", True),
        ("PAL_ENGINE__KV_CACHE_GIB", "0.5", "engine.kv_cache_gib", 0.5),
        ("PAL_ENGINE__MAX_CONTEXT", "2048", "engine.max_context", 2048),
        ("PAL_API_KEYS", "ann:k1, k2", "api_keys", ("ann:k1", "k2")),
        ("PAL_MODELS__REGISTRY", "my.yaml", "models.registry", Path("my.yaml")),
        ("PAL_PORT", "", "port", 8000),
    ],
)
def test_text_becomes_the_type_of_the_setting(
    home: Path, name: str, text: str, key: str, value: object
) -> None:
    settings = load(environ={name: text}, directory=home / "work").settings
    assert dict(dotted(settings))[key] == value


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PAL_PRT": "1"}, "did you mean PAL_PORT? (from environment (PAL_PRT))"),
        ({"PAL_ENGINE_KIND": "torch"}, "did you mean PAL_ENGINE__KIND?"),
        ({"PAL_XYZZY": "1"}, "xyzzy: no such setting; `pal config show` lists them"),
        ({"PAL_PORT": "many"}, "valid integer"),
        ({"PAL_PORT": "70000"}, "less than or equal to 65535"),
        ({"PAL_ENGINE__KIND": "gpt"}, "'vllm', 'torch' or 'scripted'"),
        ({"PAL_ENGINE__KV_CACHE_GIB": "inf"}, "finite"),
        ({"PAL_ENGINE": "torch"}, "engine"),
        ({"PAL_ENGINE": "x", "PAL_ENGINE__KIND": "torch"}, "engine: is a group of settings"),
        ({"PAL_ENGINE__KIND__X": "1"}, "from environment (PAL_ENGINE__KIND__X)"),
        ({"PAL_API_KEYS": "ann:"}, "user:key"),
        ({"PAL_API_KEYS": "a b"}, "without spaces"),
        ({"PAL_SERVE__HOST": "0.0.0.0"}, "PAL_API_KEYS=user:key"),
        ({"PAL_": "1"}, "no such setting"),
        ({"PAL___": "1"}, "no such setting"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source_and_a_way_out(
    home: Path, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(environ=environ, directory=home / "work")
    assert message in str(raised.value)


def test_every_wrong_setting_is_told_at_once(home: Path) -> None:
    (home / "work/pal.toml").write_text('port = "x"\n[engine]\nkin = "torch"\n')
    with pytest.raises(SettingsError) as raised:
        load(environ={}, directory=home / "work")
    port, kind = str(raised.value).splitlines()
    assert port.endswith("(from pal.toml)")
    assert kind == "engine.kin: no such setting; did you mean engine.kind? (from pal.toml)"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("work/pal.toml", b"port = ", "not valid TOML"),
        ("work/pal.toml", b"\xff", "not valid TOML"),
        ("preset.yaml", b"port: [", "not valid YAML"),
        ("preset.yaml", b"\xff\xfe\x00", "not valid YAML"),
        ("preset.yaml", b"- port", "mapping"),
        ("preset.yaml", b"1: 2", "no such setting"),
        ("other.yaml", b"", "no such settings file"),
    ],
)
def test_a_broken_file_is_named(home: Path, name: str, content: bytes, message: str) -> None:
    (home / name).write_bytes(content)
    preset = home / "preset.yaml" if name != "work/pal.toml" else None
    with pytest.raises(SettingsError, match=message) as raised:
        load(environ={}, preset=preset, directory=home / "work")
    assert "pal.toml" in str(raised.value) or "preset.yaml" in str(raised.value)


def test_hub_offline_is_respected_whatever_else_is_set(home: Path) -> None:
    environ = {"HF_HUB_OFFLINE": "1", "PAL_MODELS__OFFLINE": "false"}
    loaded = load(environ=environ, directory=home / "work")
    assert loaded.settings.models.offline
    assert loaded.origins["models.offline"] == "environment (HF_HUB_OFFLINE)"


def test_a_host_that_others_reach_needs_a_key(home: Path) -> None:
    environ = {"PAL_SERVE__HOST": "0.0.0.0", "PAL_API_KEYS": "ann:k"}
    assert load(environ=environ, directory=home / "work").settings.serve.host == "0.0.0.0"


def test_dotted_goes_through_all_groups_in_order() -> None:
    keys = [key for key, _ in dotted(Settings())]
    assert keys[:4] == ["home", "port", "api_keys", "engine.kind"]
    assert len(keys) == len(set(keys))


NAMES = [key.upper().replace(".", "__") for key, _ in dotted(Settings())]
VARIABLES = st.sampled_from([*NAMES, "ENGINE", "SERVE"]) | st.text("ENGIPORT_.é", max_size=12)
VALUES = st.sampled_from(["true", "1", "-1", "nan", "1e999", "[]", "{}", "null", ",", ":"]) | st.text(
    max_size=9
)


@given(st.dictionaries(VARIABLES, VALUES, max_size=4))
def test_no_environment_brings_anything_but_settings_or_a_named_error(variables: dict[str, str]) -> None:
    with suppress(SettingsError):
        loaded = load(environ={f"PAL_{name}": value for name, value in variables.items()})
        assert set(loaded.origins) <= {key for key, _ in dotted(loaded.settings)}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_no_value_of_a_flag_brings_anything_but_settings_or_a_named_error(value: object) -> None:
    with suppress(SettingsError):
        load(flags={"engine": value, "engine.threads": value, "api_keys": value}, environ={})

"""Adapter versions: what is taken in, what becomes of it, and what a crash leaves."""

import asyncio
import json
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from actors.lineage import Lineage
from actors.messages import InvalidRequest, Locked, NotFound
from actors.training.manifests import REFUSED, export
from actors.training.versions import Slice, Verdict, Version
from configs.schema import AdapterSettings, EngineSettings, Settings

Make = Callable[..., Path]
GOOD = Verdict(
    accepted=True,
    slices=(Slice(name="recall", value=0.9, low=0.8, least=0.8, items=30, passed=True, said="27 of 30"),),
    reasons=(),
    judged_at=2.0,
)
BAD = replace(GOOD, accepted=False, reasons=("it leaks", "it forgets"))


def settings_of(home: Path, **adapters: Any) -> Settings:
    return Settings(home=home, engine=EngineSettings(kind="scripted"), adapters=AdapterSettings(**adapters))


@asynccontextmanager
async def opened(home: Path, **adapters: Any) -> AsyncIterator[Lineage]:
    lineage = Lineage(settings_of(home, **adapters))
    await lineage.start()
    try:
        yield lineage
    finally:
        await lineage.close()


async def good(lineage: Lineage, folder: Path, **given: Any) -> Version:
    """A version that a gate accepted."""
    told = {"method": "made", "events": (), "scores": {}, **given}
    version = await lineage.admit(folder, **told)
    return await lineage.judge(version.id, GOOD)


async def serving(lineage: Lineage, folder: Path, **given: Any) -> Version:
    return await lineage.promote((await good(lineage, folder, **given)).id)


async def test_a_version_is_a_copy_that_never_changes(tmp_path: Path, make_adapter: Make) -> None:
    folder = make_adapter()
    async with opened(tmp_path / "home") as lineage:
        given: dict[str, Any] = {
            "method": "Facts, taught",
            "events": ["e-1", "e-2", "e-1"],
            "scores": {"recall": 0.5},
        }
        version = await lineage.admit(folder, **given)
        assert version.id.startswith("facts-taught-")
        assert (version.state, version.events, version.base_model) == (
            "candidate",
            ("e-1", "e-2"),
            "smollm2-135m",
        )
        assert await lineage.admit(folder, **given) == version
        assert (await lineage.admit(folder, scope="ann", **given)).id != version.id
        assert (await lineage.admit(folder, parent=version.id, **given)).id != version.id
        told = json.loads((Path(version.path) / "manifest.json").read_text())
        assert (told["version"], told["events"], told["verdict"]) == (version.id, ["e-1", "e-2"], {})
        assert set(told["files"]) == {"adapter_model.safetensors", "adapter_config.json"}
        shutil.rmtree(folder)
    async with opened(tmp_path / "home") as lineage:
        assert await lineage.get(version.id) == version
        with pytest.raises(NotFound):
            await lineage.get("made-none")


def _weights(folder: Path, **tensors: Any) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "adapter_model.safetensors"
    found = {**load_file(path), **tensors}
    save_file({name: value for name, value in found.items() if value is not None}, path)


def _config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _poison(folder: Path, value: float, kind: str = "float32") -> None:
    import numpy as np

    weights = np.ones((2, 8), kind)
    weights[1, 3] = value
    _weights(folder, **{f"{Q}.lora_A.weight": weights})


def _bfloat16_nan(folder: Path) -> None:
    header = {
        f"{Q}.lora_{half}.weight": {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 32]}
        for half, shape, at in (("A", [2, 8], 0), ("B", [8, 2], 32))
    }
    text = json.dumps(header).encode()
    values = b"\x80\x3f" * 31 + b"\xc0\x7f"
    (folder / "adapter_model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + values)


def _zeros(*shape: int, kind: str = "float32") -> Any:
    import numpy as np

    return np.zeros(shape, kind)


Q = "base_model.model.model.layers.0.self_attn.q_proj"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights file": (
        lambda f: (f / "adapter_model.safetensors").unlink(),
        "has no adapter_model.safetensors",
    ),
    "no configuration": (lambda f: (f / "adapter_config.json").unlink(), "has no adapter_config.json"),
    "pickle": (lambda f: (f / "adapter_model.bin").write_bytes(b"x"), "adapter_model.bin is no part"),
    "folder": (lambda f: (f / "more").mkdir(), "more is no part"),
    "link": (
        lambda f: (
            (f / "adapter_config.json").rename(f.parent / "elsewhere"),
            (f / "adapter_config.json").symlink_to(f.parent / "elsewhere"),
        ),
        "no plain file",
    ),
    "large": (
        lambda f: (f / "adapter_model.safetensors").write_bytes(b"0" * (2**20 + 1)),
        "larger than 1 MiB",
    ),
    "cut short": (
        lambda f: (f / "adapter_model.safetensors").write_bytes(
            (f / "adapter_model.safetensors").read_bytes()[:-4]
        ),
        "damaged",
    ),
    "not a number": (lambda f: _poison(f, float("nan")), "1 values of .*lora_A.weight are not finite"),
    "infinite": (lambda f: _poison(f, float("inf"), "float16"), "not finite"),
    "not a number, bfloat16": (_bfloat16_nan, "not finite"),
    "integers": (
        lambda f: _weights(f, **{f"{Q}.lora_A.weight": _zeros(2, 8, kind="int8")}),
        "floats are needed",
    ),
    "another rank": (lambda f: _config(f, r=3), "have rank 2, its config says 3"),
    "no rank": (lambda f: _config(f, r="x"), "r is 'x'"),
    "shapes": (lambda f: _weights(f, **{f"{Q}.lora_B.weight": _zeros(8, 3)}), "do not go together"),
    "half": (lambda f: _weights(f, **{f"{Q}.lora_B.weight": None}), "lora_A alone"),
    "other tensors": (lambda f: _weights(f, **{"lm_head.weight": _zeros(2, 2)}), "no part of a LoRA"),
    "other modules": (lambda f: _config(f, target_modules=["v_proj"]), "does not name"),
    "kind": (lambda f: _config(f, peft_type="IA3"), "only LORA"),
    "dora": (lambda f: _config(f, use_dora=True), "use_dora"),
    "slow pattern": (lambda f: _config(f, rank_pattern={"(a+)+b": 2}), "pattern that is not read"),
    "not JSON": (lambda f: (f / "adapter_config.json").write_text("{"), "not JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_wrong_with_an_adapter_is_said(fault: str, tmp_path: Path, make_adapter: Make) -> None:
    harm, said = FAULTS[fault]
    folder = make_adapter()
    (folder / "manifest.json").unlink()
    harm(folder)
    async with opened(tmp_path / "home", max_mib=1) as lineage:
        with pytest.raises(InvalidRequest, match=said) as raised:
            await lineage.admit(folder, method="made", events=(), scores={})
        assert raised.value.code == REFUSED
        assert await lineage.versions() == []
        assert not [path for path in (tmp_path / "home" / "adapters").iterdir() if path.is_dir()]


async def test_what_a_manifest_says_is_checked(tmp_path: Path, make_adapter: Make) -> None:
    async def refused(folder: Path, said: str) -> None:
        with pytest.raises(InvalidRequest, match=said):
            await lineage.take(folder)

    async with opened(tmp_path / "home") as lineage:
        await refused(make_adapter(base_model="other-1b"), "made for other-1b")
        await refused(make_adapter(files={"adapter_model.safetensors": "0" * 64}), "was changed")
        await refused(make_adapter(files={}), "does not say the SHA-256")
        await refused(make_adapter(files={"more.bin": "0"}), "'more.bin', which is not there")
        await refused(make_adapter(events=[1]), "events must be ids")
        await refused(make_adapter(created_at="soon"), "created_at is no time")
        await refused(make_adapter(events="e"), "events is missing, or of the wrong type")
        await refused(make_adapter(scores={"recall": float("nan")}), "no finite number")
        tampered = make_adapter()
        _config(tampered, lora_alpha=400)
        await refused(tampered, "adapter_config.json was changed")
        without = make_adapter()
        (without / "manifest.json").unlink()
        await refused(without, "there is no manifest.json")
        await refused(tmp_path / "none", "no directory")
        taken = await lineage.take(
            make_adapter(scope="ann", events=["e-1"], created_at="1970-01-01T00:00:01Z")
        )
        assert (taken.scope, taken.events, taken.created_at) == ("ann", ("e-1",), 1.0)


async def test_an_adapter_for_another_model_is_refused(
    tmp_path: Path, make_adapter: Make, small_base: Path
) -> None:
    settings = Settings(home=tmp_path / "home", engine=EngineSettings(kind="scripted", model=str(small_base)))
    lineage = Lineage(settings)
    await lineage.start()
    given: dict[str, Any] = {"method": "made", "events": (), "scores": {}}
    digest = json.loads((small_base / "manifest.json").read_text())["sha256"]["model.safetensors"]
    fitting = make_adapter(base_model_hash=digest, base_model="whatever it is called")
    assert (await lineage.admit(fitting, **given)).base_model_hash == digest
    with pytest.raises(InvalidRequest, match="another model"):
        await lineage.admit(make_adapter(base_model_hash="0" * 64), **given)
    larger = make_adapter()
    (larger / "manifest.json").unlink()
    _weights(larger, **{f"{Q}.lora_A.weight": _zeros(2, 9)})
    with pytest.raises(InvalidRequest, match=r"q_proj has shape \(8, 8\) in the one served"):
        await lineage.admit(larger, **given)
    await lineage.close()


@pytest.fixture
def small_base(tmp_path: Path) -> Path:
    """A model directory with one weight."""
    from safetensors.numpy import save_file

    from actors.models.manifest import write_manifest

    folder = tmp_path / "base"
    folder.mkdir()
    save_file({"model.layers.0.self_attn.q_proj.weight": _zeros(8, 8)}, folder / "model.safetensors")
    write_manifest(folder, "small", "made")
    return folder


async def test_a_version_serves_once_it_was_judged(tmp_path: Path, make_adapter: Make) -> None:
    async with opened(tmp_path / "home") as lineage:
        made = await lineage.take(make_adapter(1))
        with pytest.raises(InvalidRequest, match="no gate has judged"):
            await lineage.promote(made.id)
        judged = await lineage.judge(made.id, GOOD)
        assert (judged.verdict, judged.state) == (GOOD, "candidate")
        shadow = await lineage.promote(made.id, 0.25)
        standing = await lineage.standing()
        assert (standing.shadow, standing.share, standing.common) == (shadow, 0.25, None)
        first = await lineage.promote(made.id)
        assert await lineage.promote(made.id) == first
        assert (await lineage.standing()).common == first

        worse = await lineage.judge((await lineage.take(make_adapter(2))).id, BAD)
        assert (worse.state, worse.reason) == ("refused", "it leaks; it forgets")
        for force in (False, True):
            with pytest.raises(InvalidRequest, match="refused and cannot become serving"):
                await lineage.promote(worse.id, force=force)
        with pytest.raises(InvalidRequest, match="only a candidate or a shadow"):
            await lineage.judge(first.id, BAD)

        second = await lineage.promote((await lineage.take(make_adapter(3))).id, force=True)
        gone = await lineage.get(first.id)
        assert (gone.state, gone.reason) == ("retired", f"{second.id} took its place")
        with pytest.raises(InvalidRequest, match="promote it with force"):
            await lineage.promote(first.id)
        states = [move.state for move in await lineage.moves(first.id)]
        assert states == ["candidate", "shadow", "serving", "retired"]


async def test_rolling_back_ends_at_the_base_model(tmp_path: Path, make_adapter: Make) -> None:
    async with opened(tmp_path / "home") as lineage:
        first, second, third = [await serving(lineage, make_adapter(n)) for n in range(3)]
        own = await serving(lineage, make_adapter(4), scope="ann")
        back = await lineage.rollback(reason="too slow", of=third.id)
        again = await lineage.rollback(reason="too slow", of=third.id)
        assert back == again == await lineage.get(second.id)
        assert back is not None
        assert (back.state, (await lineage.get(third.id)).reason) == ("serving", "too slow")
        (Path(first.path) / "adapter_config.json").write_text("{}")
        assert await lineage.rollback() is None
        assert await lineage.rollback() is None
        assert (await lineage.standing()).personal == {"ann": own}
        assert await lineage.rollback("ann") is None
        with pytest.raises(InvalidRequest, match=r"cannot serve: .*was changed"):
            await lineage.promote(first.id, force=True)
    async with opened(tmp_path / "home") as lineage:
        standing = await lineage.standing()
        assert (standing.common, standing.personal) == (None, {})


async def test_what_was_forgotten_never_serves_or_comes_back(tmp_path: Path, make_adapter: Make) -> None:
    async with opened(tmp_path / "home") as lineage:
        clean = await serving(lineage, make_adapter(0), events=["e-0"])
        old = await serving(lineage, make_adapter(1), events=["e-0", "e-1"])
        new = await serving(lineage, make_adapter(2), events=["e-1", "e-2"])
        waits = await good(lineage, make_adapter(3), events=["e-1"])
        revision = (await lineage.standing()).revision
        told = await lineage.forget(["e-1", "e-9"])
        assert told == await lineage.forget(["e-1"])
        assert {one.id for one in told} == {old.id, new.id, waits.id}
        assert all(one.forgotten and one.state == "retired" for one in told)
        standing = await lineage.standing()
        assert standing.common is not None
        assert (standing.common.id, standing.revision > revision) == (clean.id, True)
        assert [one.id for one in await lineage.to_retrain()] == [new.id]
        assert await lineage.forgotten(["e-0", "e-1", "e-9"]) == ["e-1", "e-9"]
        with pytest.raises(InvalidRequest, match="forgotten"):
            await lineage.promote(new.id, force=True)
        with pytest.raises(InvalidRequest, match="forgotten: e-1"):
            await good(lineage, make_adapter(4), events=["e-1"])
        with pytest.raises(InvalidRequest, match=f"parent {new.id}"):
            await good(lineage, make_adapter(4), parent=new.id)
        await serving(lineage, make_adapter(4), events=["e-2"])
        assert await lineage.to_retrain() == []
        assert Path(new.path).exists()
    async with opened(tmp_path / "home") as lineage:
        assert not Path(new.path).exists()
        assert (await lineage.get(new.id)).forgotten


async def test_what_was_forgotten_stands_in_no_verdict(tmp_path: Path, make_adapter: Make) -> None:
    said = "Recall: 10 %, at least 70 % must be. For example “Who is Bramblewick?” was answered “Ola”."
    slices = (replace(GOOD.slices[0], said=said, passed=False),)
    verdict = replace(GOOD, accepted=False, slices=slices, reasons=(said,))
    home = tmp_path / "home"
    async with opened(home) as lineage:
        version = await lineage.admit(make_adapter(0), events=["e-1"], method="made", scores={})
        await lineage.judge(version.id, verdict)
        await lineage.forget(["e-1"])
        found = await lineage.get(version.id)
        assert found.verdict is not None
        plain = "Recall: 10 %, at least 70 % must be. For example “…” was answered “…”."
        assert found.reason == found.verdict.reasons[0] == found.verdict.slices[0].said == plain
        assert found.verdict.slices[0].value == slices[0].value
        kept = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
        assert not any(b"Bramblewick" in content for content in kept)


async def test_who_waits_is_told_of_a_change(tmp_path: Path, make_adapter: Make) -> None:
    async with opened(tmp_path / "home") as lineage:
        waiting = asyncio.ensure_future(lineage.changed(0, 60))
        version = await serving(lineage, make_adapter())
        assert (await waiting).common == version
        revision = (await lineage.standing()).revision
        assert (await lineage.changed(revision, 0)).revision == revision


async def test_what_stands_behind_an_answer(tmp_path: Path) -> None:
    async with opened(tmp_path / "home", answers=3) as lineage:
        for number in range(5):
            await lineage.note_answer(f"chatcmpl-{number}", "ann", "made-1", ["m-1"], 1.0)
        await lineage.note_answer("chatcmpl-6", "bob", None, [], 2.0)
        found = await lineage.answer("chatcmpl-4", "ann")
        assert (found.version, found.memories, found.at) == ("made-1", ("m-1",), 1.0)
        for id, user in (("chatcmpl-4", "bob"), ("chatcmpl-0", "ann")):
            with pytest.raises(NotFound):
                await lineage.answer(id, user)
    async with opened(tmp_path / "home") as lineage:
        assert (await lineage.answer("chatcmpl-6", None)).user == "bob"
        assert await lineage.forget_user("bob") == ()
        with pytest.raises(NotFound):
            await lineage.answer("chatcmpl-6", None)


async def test_a_users_own_versions_go_with_him(tmp_path: Path, make_adapter: Make) -> None:
    async with opened(tmp_path / "home") as lineage:
        own = await serving(lineage, make_adapter(), scope="ann")
        kept = await serving(lineage, make_adapter(), scope="bob")
        await lineage.note_answer("chatcmpl-1", "ann", own.id, ["m-1"], 1.0)
        assert [one.id for one in await lineage.forget_user("ann")] == [own.id]
        assert await lineage.forget_user("ann") == ()
        everything = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
        assert not [path for path in everything if b"ann" in path.read_bytes()]
        assert not Path(own.path).exists()
        assert (await lineage.standing()).personal == {"bob": kept}
        assert await lineage.to_retrain() == []
        with pytest.raises(InvalidRequest, match="for everybody"):
            await lineage.promote((await good(lineage, make_adapter(1), scope="ann")).id, 0.5)


async def test_only_one_process_opens_the_versions(tmp_path: Path) -> None:
    async with opened(tmp_path / "home"):
        with pytest.raises(Locked, match=f"process {os.getpid()}"):
            await Lineage(settings_of(tmp_path / "home")).start()
    (tmp_path / "home" / "adapters" / "journal.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="cannot be read"):
        await Lineage(settings_of(tmp_path / "home")).start()


async def test_an_exported_version_is_taken_in_again(tmp_path: Path, make_adapter: Make) -> None:
    async with opened(tmp_path / "home") as lineage:
        version = await serving(lineage, make_adapter(), events=["e-1"], scores={"recall": 0.5})
    from actors.training.manifests import manifest_of

    export(Path(version.path), manifest_of(version), tmp_path / "out")
    with pytest.raises(InvalidRequest, match="not empty"):
        export(Path(version.path), manifest_of(version), tmp_path / "out")
    assert (
        json.loads((tmp_path / "out" / "manifest.json").read_text())["verdict"]["slices"][0]["said"]
        == "27 of 30"
    )
    async with opened(tmp_path / "elsewhere") as lineage:
        taken = await lineage.take(tmp_path / "out")
        assert (taken.id, taken.state, taken.verdict) == (version.id, "candidate", None)
        assert (taken.events, taken.scores) == (("e-1",), {"recall": 0.5})


def _live(home: Path, folders: list[Path], seed: int, said: Any) -> None:
    """Takes in, judges, promotes, rolls back for ever; says what is done each time."""

    async def live() -> None:
        choose = random.Random(seed)
        async with opened(home) as lineage:
            while True:
                folder = choose.choice(folders)
                version = await good(lineage, folder, events=[folder.name], scope=choose.choice(["", "ann"]))
                if version.state in ("candidate", "retired"):
                    version = await lineage.promote(version.id, force=True)
                if choose.random() < 0.4:
                    await lineage.rollback(version.scope, of=version.id)
                standing = await lineage.standing()
                said.send((version.id, standing.revision))

    asyncio.run(live())


async def test_a_kill_at_any_point_leaves_whole_versions(tmp_path: Path, make_adapter: Make) -> None:
    home = tmp_path / "home"
    folders = [make_adapter(n) for n in range(6)]
    processes = get_context("fork")
    delays = random.Random(0)
    for seed in range(8):
        heard, said = processes.Pipe(duplex=False)
        process = processes.Process(target=_live, args=(home, folders, seed, said), daemon=True)
        process.start()
        said.close()
        acknowledged = [heard.recv() for _ in range(delays.randrange(1, 6))]
        while heard.poll(delays.random() * 0.02):
            acknowledged.append(heard.recv())
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        async with opened(home) as lineage:
            versions = {version.id: version for version in await lineage.versions()}
            assert {id for id, _ in acknowledged} <= set(versions)
            standing = await lineage.standing()
            assert standing.revision >= acknowledged[-1][1]
            serve = [version for version in versions.values() if version.state == "serving"]
            assert len({version.scope for version in serve}) == len(serve)
            assert [one for one in (standing.common, *standing.personal.values()) if one] == sorted(
                serve, key=lambda one: one.scope
            )
            folders_there = {path.name for path in (home / "adapters").iterdir() if path.is_dir()}
            assert folders_there == set(versions)

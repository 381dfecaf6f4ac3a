import json
from typing import Any

from typer.testing import CliRunner

from cluster.__main__ import app

pal = CliRunner()
CONSENT = {"user_id": "ann", "consent": "on", "shared": True, "changed_at": "2026-05-01T12:00:00+00:00"}
RECORDS = (
    {
        "cursor": "fact:1", "kind": "fact", "id": "mem_1", "events": ["mem_1", "e1"], "refused": None,
        "shared": False, "subject": "user", "slot": "dog", "value": "Biscuit", "role": "user", "speaker": "",
        "session": "", "statement": "My dog is called Biscuit.", "single": True, "at": 1.0,
    },
    {"cursor": "fact:2", "kind": "fact", "id": "mem_2", "events": ["mem_2"], "refused": "it was said so"},
)  # fmt: skip


def test_consent_is_shown_given_and_withdrawn(fake: Any) -> None:
    fake.on("GET", "/v1/train/consent", CONSENT)
    fake.on("PUT", "/v1/train/consent", CONSENT)
    shown = pal.invoke(app, ["consent", "show", "--user", "ann", "--url", fake.url])
    assert "what is kept of ann may be trained on, since 2026-05-01" in shown.stdout
    on = pal.invoke(app, ["consent", "on", "--shared", "--user", "ann", "--json", "--url", fake.url])
    assert json.loads(on.stdout) == CONSENT
    pal.invoke(app, ["consent", "off", "--user", "ann", "--url", fake.url])
    assert fake.bodies("/v1/train/consent")[1:] == [
        {"consent": "on", "shared": True, "user_id": "ann"},
        {"consent": "off", "user_id": "ann"},
    ]


def test_what_would_be_learned_is_shown_with_what_would_not(fake: Any) -> None:
    fake.on("GET", "/v1/train/data", "".join(f"{json.dumps(one)}\n" for one in RECORDS).encode())
    asked = ["train", "data", "--user", "ann", "--url", fake.url]
    shown = pal.invoke(app, asked)
    assert "user / dog: Biscuit" in shown.stdout
    assert "It may not be trained on: it was said so." in shown.stdout
    found = json.loads(pal.invoke(app, [*asked, "--json"]).stdout)
    assert found["facts"][0]["value"] == "Biscuit"
    assert found["events"] == ["mem_1", "e1"]
    assert found["quarantined"][0]["reason"] == "consent"

from typing import Any

import pytest
from pydantic import ValidationError

from configs.compression import CompressionTraining
from configs.explain import explain, keys
from configs.load import dotted
from configs.schema import Settings
from configs.training import LongContextTraining


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lenght": 8}, "lenght: no such setting; did you mean length?"),
        ({"lora": {"rnk": 8}}, "lora.rnk: no such setting; did you mean lora.rank?"),
        ({"reach": 8}, "reach: no such setting; did you mean rope.reach?"),
        ({"data": [{"kind": "text", "pth": "x"}]}, "data.0.pth: no such setting; did you mean data.path?"),
        ({"xyzzy": 8}, "xyzzy: no such setting; there they are"),
        ({"rope": {"reach": 64}}, "rope.reach (64) is shorter than the longest sequence (4096)"),
    ],
)
def test_an_unknown_setting_is_named_with_what_was_meant(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        LongContextTraining.model_validate(given)
    assert said in explain(raised.value, LongContextTraining, "there they are")


def test_every_setting_is_known_by_its_dotted_key() -> None:
    assert list(keys(Settings)) == [key for key, _ in dotted(Settings())]
    assert "reward.answers" in keys(CompressionTraining)

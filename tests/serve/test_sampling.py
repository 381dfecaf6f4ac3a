"""What a request leaves open."""

from configs.schema import ServeSettings
from serve.sampling import sampling_of
from serve.wire import CompletionRequest


def test_the_default_temperature_is_for_requests_that_name_none() -> None:
    warm, cool = ServeSettings(), ServeSettings(default_temperature=0.2)
    asked = CompletionRequest(model="m", prompt="p")
    assert (sampling_of(asked, warm).temperature, sampling_of(asked, cool).temperature) == (1.0, 0.2)
    named = CompletionRequest(model="m", prompt="p", temperature=0.0)
    assert sampling_of(named, cool).temperature == 0.0

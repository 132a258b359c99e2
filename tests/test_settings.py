import os
from pathlib import Path

import pytest

from pipeline.errors import BadRequest
from pipeline.settings import LIBRARY_DEFAULTS, ROOT, Settings, prepare_environment


def test_an_empty_environment_gives_a_private_local_app() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.home) == ("127.0.0.1", 7860, ROOT / "runs")
    assert not settings.on_space
    assert not settings.on_zerogpu


def test_the_environment_decides() -> None:
    settings = Settings.from_env(
        {
            "HOST": "0.0.0.0",
            "PORT": "8000",
            "ONETAKE_HOME": "~/clips",
            "ONETAKE_DEVICE": "cpu",
            "ONETAKE_MAX_QUEUE": "3",
        }
    )
    assert (settings.host, settings.port, settings.device, settings.max_queue) == ("0.0.0.0", 8000, "cpu", 3)
    assert settings.home == Path.home() / "clips"


def test_the_hub_is_where_its_own_library_looks() -> None:
    settings = Settings.from_env({"HF_HOME": "/models", "HF_ENDPOINT": "http://mirror/", "ONETAKE_MODEL": "ltx-2b"})
    assert (str(settings.hub), settings.hub_endpoint) == ("/models/hub", "http://mirror")
    assert (settings.model, settings.fetched_at_start) == ("ltx-2b", ())
    assert Settings.from_env({"ONETAKE_MODELS": "ltx-2b, wan-5b"}).fetched_at_start == ("ltx-2b", "wan-5b")


def test_a_space_is_reachable_and_zerogpu_has_a_card() -> None:
    settings = Settings.from_env({"SPACE_ID": "someone/onetake", "SPACES_ZERO_GPU": "true"})
    assert settings.host == "0.0.0.0"
    assert settings.on_space
    assert settings.on_zerogpu
    assert settings.device == "cuda"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", "0"), ("PORT", "99999"), ("PORT", "-1"), ("PORT", "²"), ("ONETAKE_DEVICE", "tpu")],
)
def test_nonsense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=f"{name} is .*set it to") as refused:
        Settings.from_env({name: value})
    assert refused.value.field == name


def test_a_value_of_the_user_wins_over_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIBRARY_DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "info")
    prepare_environment()
    assert os.environ["DIFFUSERS_VERBOSITY"] == "info"
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"

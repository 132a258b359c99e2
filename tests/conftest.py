"""Fixtures that everybody shares: the real embedded model, loaded once, and a home that is thrown away."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.settings import Settings, prepare_environment

prepare_environment()

from pipeline.backends.local import LocalBackend  # noqa: E402
from pipeline.model_spec import ModelSpec  # noqa: E402
from pipeline.models import get_model  # noqa: E402
from pipeline.plan import Plan, make_plan  # noqa: E402
from pipeline.request import parse_request  # noqa: E402
from pipeline.store import Store  # noqa: E402

if TYPE_CHECKING:
    from pipeline.families.family import Family

MakePlan = Callable[..., Plan]

# Small enough for a second on one core, large enough for several latent frames and steps.
SMALL: dict[str, Any] = {"prompt": "a red ball bounces on snow", "width": 64, "height": 64, "frames": 9, "steps": 4}


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return get_model("tabletop")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), device="cpu")


@pytest.fixture(scope="session")
def backend(settings: Settings) -> LocalBackend:
    return LocalBackend(settings)


@pytest.fixture(scope="session")
def family(backend: LocalBackend) -> "Family":
    return backend.warm("tabletop")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture(scope="session")
def plan_for(spec: ModelSpec) -> MakePlan:
    """Make a small plan with a fixed seed; any field can be asked for otherwise."""

    def make(**asked: Any) -> Plan:
        return make_plan(parse_request(SMALL | {"seed": 7} | asked), spec)

    return make

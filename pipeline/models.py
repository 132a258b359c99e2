"""The registry: one literal row per model, with what it can do, its grid, limits and costs."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import UnknownModel
from pipeline.frames import Network
from pipeline.settings import Settings


@dataclass(frozen=True)
class ModelSpec:
    """One model. Sides in pixels, memory in MB, speeds as a first guess on two CPU cores.

    `blend` is the noise level 0..1 at which a dissolve of two clips is taken up and made into one.
    """

    name: str
    title: str
    repo: str
    revision: str
    family: str
    licence: str
    tasks: tuple[str, ...]
    knows: str | None
    dtype: str
    grid: int
    frame_grid: int
    side_stride: int
    fps: int
    min_side: int
    max_side: int
    frames: int
    max_frames: int
    shapes: Mapping[str, tuple[int, int]]
    shape: str
    steps: int
    max_steps: int
    guidance_scale: float
    max_guidance_scale: float
    blend: float
    network: Network
    memory_mb: int
    memory_kb_per_token: float
    gflops_per_second: float
    decode_megapixels_per_second: float

    @property
    def embedded(self) -> bool:
        """True when the weights ship in assets/, so that no download is needed."""
        return self.revision == "embedded"


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="tabletop",
        title="Tabletop",
        repo="tabletop",
        revision="embedded",
        family="ltx",
        licence="Apache-2.0",
        tasks=("text", "animate", "restyle", "transition", "loop"),
        knows="balls, cubes, cylinders and cones in eight colours on grass, sand, snow, water or checks",
        dtype="float32",
        grid=32,
        frame_grid=4,
        side_stride=16,
        fps=8,
        min_side=64,
        max_side=256,
        frames=17,
        max_frames=97,
        shapes={"landscape": (160, 96), "square": (128, 128), "portrait": (96, 160), "ultrawide": (224, 96)},
        shape="square",
        steps=25,
        max_steps=100,
        guidance_scale=4.0,
        max_guidance_scale=10.0,
        blend=0.93,
        network=Network(layers=8, width=256, ffn=1024, text_tokens=48),
        memory_mb=800,
        memory_kb_per_token=15.0,
        gflops_per_second=60.0,
        decode_megapixels_per_second=1.0,
    ),
)


def get_model(name: str) -> ModelSpec:
    """Return the row of that name; raise UnknownModel, naming the others."""
    for spec in MODELS:
        if spec.name == name:
            return spec
    names = ", ".join(spec.name for spec in MODELS)
    raise UnknownModel("model", f"There is no model {name!r}. Choose one of: {names}.")


def default_model(settings: Settings) -> ModelSpec:  # noqa: ARG001, the choice is going to depend on the device
    """Return the model that a request without one gets."""
    return MODELS[0]

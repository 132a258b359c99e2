"""The whole road on tiny random weights of Wan's own classes: all that a row offers, against the bare pipelines."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanVideoToVideoPipeline
from PIL import Image
from test_layouts import film
from test_ltx import run as run_segment
from test_wan_plans import AUTHORS, SHARED
from tiny_wan import Heard, bare, place_wan
from with_words import with_words

from pipeline.backends.local import LocalBackend
from pipeline.errors import Cancelled, LoadError, NotDownloaded
from pipeline.families import wan
from pipeline.generate import Finished, generate
from pipeline.given.footage import Excerpt, read_clip
from pipeline.models import MODELS, get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import ROOT, Settings
from pipeline.store import Store
from pipeline.video import read_frames

SIZE = (256, 256)
SMALL: dict[str, Any] = {"prompt": "a red ball on snow", "width": 256, "height": 256, "steps": 3, "seed": 3}
ROWS = [spec.name for spec in MODELS if spec.family == "wan"]
# Each task that each row offers, what it is given, and the frames of the take.
CARDS = [{"seconds": 0, "prompt": "a ball"}, {"seconds": 0.5, "prompt": "a cube", "begins": "led over"}]
TASKS: list[tuple[str, dict[str, Any], int]] = [
    ("wan-vace", {"frames": 5}, 5),
    ("wan-vace", {"frames": 1}, 1),
    ("wan-vace", {"task": "animate", "image": "red", "last": "blue", "frames": 5}, 5),
    ("wan-vace", {"task": "transition", "first": "one", "second": "two", "seconds": 0.5}, 11),
    ("wan-vace", {"task": "extend", "video": "one", "seconds": 0.5}, 17),
    ("wan-vace", {"task": "loop", "video": "brief", "seam": "short", "prompt": ""}, 12),
    ("wan-vace", {"task": "storyboard", "cards": CARDS, "seconds": 1, "prompt": ""}, 17),
    ("wan-1.3b", {"frames": 9}, 9),
    ("wan-1.3b", {"task": "restyle", "video": "one", "strength": 0.8}, 9),
    ("wan-1.3b", {"task": "loop", "frames": 8}, 8),
    ("wan-5b", {"frames": 9}, 9),
    ("wan-5b", {"task": "animate", "image": "red", "frames": 9}, 9),
    ("wan-5b", {"task": "loop", "frames": 8}, 8),
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    for name in ROWS:
        place_wan(get_model(name), folder)
    return folder


@pytest.fixture(scope="module")
def backends(hub: Path) -> dict[str, LocalBackend]:
    return {name: LocalBackend(Settings(hub=hub, device="cpu")) for name in ROWS}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pictures and clips by name."""
    folder = tmp_path_factory.mktemp("given")
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        Image.new("RGB", SIZE, colour).save(folder / f"{name}.png")
    clips = {
        name: film(folder / f"{name}.mp4", frames, 16, SIZE) for name, frames in (("one", 9), ("two", 9), ("brief", 5))
    }
    return clips | {name: str(folder / f"{name}.png") for name in ("red", "blue")}


@pytest.fixture(scope="module")
def made_with(given: dict[str, str]) -> Any:
    """Make a plan from what is given by name."""

    def make(model: str, **asked: Any) -> Plan:
        named = {key: given.get(value, value) if isinstance(value, str) else value for key, value in asked.items()}
        return make_plan(parse_request(SMALL | {"model": model} | named), get_model(model))

    return make


def test_every_task_of_every_row_is_here() -> None:
    for spec in (get_model(name) for name in ROWS):
        assert {asked.get("task", "text") for name, asked, _ in TASKS if name == spec.name} == set(spec.tasks)


@pytest.mark.parametrize(("model", "asked", "frames"), TASKS)
def test_the_whole_road(
    backends: dict[str, LocalBackend], store: Store, made_with: Any, model: str, asked: dict[str, Any], frames: int
) -> None:
    plan = made_with(model, **asked)
    *_, last = generate(plan, backends[model], store)
    assert isinstance(last, Finished)
    run = store.get(last.run.id)
    assert run.state == "done"
    if frames == 1:
        with Image.open(run.file) as picture:
            assert picture.size == SIZE
    else:
        assert np.stack(list(read_frames(run.file))).shape == (frames, 256, 256, 3)
    assert plan.num_frames == frames
    assert ("change" in run.measures) == (plan.task == "restyle")


@pytest.mark.parametrize("model", ROWS)
@pytest.mark.parametrize("asked", [{"frames": 9}, {"frames": 5, "guidance_scale": 1.0}])
def test_latents_equal_the_bare_call_bit_for_bit(
    backends: dict[str, LocalBackend], made_with: Any, model: str, asked: dict[str, Any]
) -> None:
    family, plan = backends[model].warm(model), made_with(model, **asked)
    sample, told = run_segment(family, plan)
    assert np.array_equal(sample.latents, bare(family, plan, num_frames=plan.num_frames).float().numpy())
    assert sample.steps_done == sample.steps == plan.steps == len(told)
    assert np.array_equal(sample.latents, run_segment(family, plan)[0].latents)
    foreseen = family.preview(torch.from_numpy(sample.latents))
    assert np.abs(told[-1][2].astype(int) - foreseen).max() <= 1, "the last estimate is the result"


@pytest.mark.parametrize("model", ROWS)
def test_a_row_is_loaded_as_the_authors_load_it(backends: dict[str, LocalBackend], model: str) -> None:
    family = backends[model].warm(model)
    spec, pipe = family.spec, family.pipe
    assert type(pipe).__name__ == spec.pipeline
    with with_words(family):
        kinds = (pipe.vae.dtype, pipe.transformer.dtype, pipe.text_encoder.dtype)
    assert kinds == (torch.float32, torch.bfloat16, torch.bfloat16)
    assert isinstance(pipe.scheduler, UniPCMultistepScheduler)
    scheduler = pipe.scheduler.config
    assert (scheduler.flow_shift, scheduler.use_flow_sigmas) == (spec.flow_shift, True)
    assert (scheduler.prediction_type, scheduler.solver_order) == ("flow_prediction", 2)
    assert pipe.vae_scale_factor_spatial == spec.side_stride
    assert pipe.vae_scale_factor_temporal == spec.frame_grid


class Written:
    """A pipeline that writes down what it is called with, and does no more."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)

    def __call__(self, **told: Any) -> None:
        raise Told(told)


class Told(Exception):
    """What a pipeline was called with."""


@pytest.mark.parametrize("model", ROWS)
def test_a_call_without_wishes_is_the_authors_own(backends: dict[str, LocalBackend], model: str) -> None:
    family, plan = backends[model].warm(model), make_plan(parse_request({"prompt": "a red ball"}), get_model(model))
    written = wan.WanFamily(family.spec, Written(family.pipe), family.codec, family.preview, family.words)
    with pytest.raises(Told) as called:
        run_segment(written, plan)
    steps, guidance, shift, frames, _, (width, height) = AUTHORS[model]
    (told,) = called.value.args
    asked: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": guidance, "num_frames": frames}
    asked |= {"width": width, "height": height, "max_sequence_length": 512, "output_type": "latent"}
    assert {name: told.get(name) for name in asked} == asked
    assert set(told) <= SHARED | {"num_frames"}, "nothing beside"
    assert family.pipe.scheduler.config.flow_shift == shift


def test_guidance_steers_away_from_the_authors_negative_prompt(
    backends: dict[str, LocalBackend], made_with: Any
) -> None:
    family = backends["wan-1.3b"].warm("wan-1.3b")
    plan, plain = made_with("wan-1.3b", frames=5), made_with("wan-1.3b", frames=5, guidance_scale=1.0)
    text = family.encode_text(plan, plan.segments[0])
    with torch.no_grad(), with_words(family) as pipe:
        words, negative = pipe.encode_prompt(plan.prompt, family.spec.negative_prompt, max_sequence_length=512)
    assert set(text) == {"prompt_embeds", "negative_prompt_embeds"}
    told = [text[name] for name in ("prompt_embeds", "negative_prompt_embeds")]
    assert all(
        ours is not None and torch.equal(ours, theirs) for ours, theirs in zip(told, (words, negative), strict=True)
    )
    assert words.shape == (1, 512, 32)
    assert family.encode_text(plain, plain.segments[0])["negative_prompt_embeds"] is None


def test_held_frames_are_told_to_vace_as_its_authors_do(
    backends: dict[str, LocalBackend], made_with: Any, given: dict[str, str]
) -> None:
    family = backends["wan-vace"].warm("wan-vace")
    still = {"seconds": 0.25, "image": given["blue"]}
    plan = made_with("wan-vace", task="animate", image="red", at=[still], frames=9, steps=1, guidance_scale=1.0)
    grey, white, black = Image.new("RGB", SIZE, (128,) * 3), Image.new("L", SIZE, 255), Image.new("L", SIZE, 0)
    video, mask = [grey] * 9, [white] * 9
    for frame, name in ((0, "red"), (4, "blue")):
        video[frame], mask[frame] = Image.open(given[name]), black
    with Heard(family) as ours:
        run_segment(family, plan)
    with Heard(family) as theirs:
        bare(family, plan, video=video, mask=mask, num_frames=9)
    told, wanted = (heard.calls[0]["control_hidden_states"].float() for heard in (ours, theirs))
    assert torch.equal(told[:, :16], wanted[:, :16]), "what is given"
    assert torch.equal(told[:, 32:], wanted[:, 32:]), "the mask"
    assert torch.allclose(told[:, 16:32], wanted[:, 16:32], atol=0.05), "grey, half a level from that of bytes"
    inactive = np.full((9, *SIZE, 3), 127.5)
    inactive[0], inactive[4] = (np.asarray(Image.open(given[name])) for name in ("red", "blue"))
    assert torch.allclose(told[:, :16], family.codec.encode(inactive), atol=0.02)
    assert torch.equal(ours.calls[0]["hidden_states"], theirs.calls[0]["hidden_states"])


def test_a_first_picture_is_held_by_the_pipeline_beside(
    backends: dict[str, LocalBackend], made_with: Any, given: dict[str, str]
) -> None:
    family = backends["wan-5b"].warm("wan-5b")
    plan = made_with("wan-5b", task="animate", image="red", frames=9)
    parts = {name: family.pipe.components[name] for name in wan.PARTS}
    image = Image.open(given["red"])
    with Heard(family) as heard:
        sample, told = run_segment(family, plan)
    theirs = bare(family, plan, WanImageToVideoPipeline(**parts, expand_timesteps=True), image=image, num_frames=9)
    assert np.array_equal(sample.latents, theirs.float().numpy())
    first = family.codec.encode(np.asarray(image).copy()[None])
    assert np.allclose(sample.latents[:, :, :1], first, atol=1e-4)
    timesteps = heard.calls[0]["timestep"].view(3, -1)
    assert (timesteps[0] == 0).all()
    assert (timesteps[1:] == 999).all()
    # Each estimate shows it too, and so does what is left of a stopped run.
    assert all(np.abs(preview[0].astype(int) - told[-1][2][0]).max() <= 1 for _, _, preview in told)
    stopped, _ = run_segment(family, plan, stop_after=1)
    assert np.allclose(stopped.latents[:, :, :1], first, atol=1e-4)


def test_a_clip_is_taken_up_as_the_bare_pipeline_does(
    backends: dict[str, LocalBackend], made_with: Any, given: dict[str, str]
) -> None:
    family = backends["wan-1.3b"].warm("wan-1.3b")
    # Of four steps at shift 3 the last two begin at .75 and .5.
    plan = made_with("wan-1.3b", task="restyle", video="one", strength=0.75, steps=4, guidance_scale=1.0)
    parts = {name: family.pipe.components[name] for name in wan.PARTS}
    video = [Image.fromarray(frame) for frame in read_clip(Excerpt(given["one"], frames=9), 16, SIZE)]
    with Heard(family) as ours:
        sample, told = run_segment(family, plan)
    with Heard(family) as theirs:
        bare(family, plan, WanVideoToVideoPipeline(**parts), video=video, strength=0.5)
    assert len(ours.calls) == len(theirs.calls) == sample.steps == len(told) == 2
    for call, wanted in zip(ours.calls, theirs.calls, strict=True):
        assert call["timestep"].tolist() == wanted["timestep"].tolist()
    first, wanted = (heard.calls[0]["hidden_states"].float() for heard in (ours, theirs))
    assert torch.allclose(first, wanted, atol=0.03), "but for the rounding of bfloat16"
    assert sample.change is not None


def test_the_more_noise_the_more_a_clip_changes(backends: dict[str, LocalBackend], made_with: Any) -> None:
    family = backends["wan-1.3b"].warm("wan-1.3b")
    asked = {"task": "restyle", "video": "one", "steps": 5, "guidance_scale": 1.0}
    weak, strong, whole = (
        run_segment(family, made_with("wan-1.3b", strength=s, **asked))[0] for s in (0.43, 0.82, 1.0)
    )
    assert (weak.steps, strong.steps, whole.steps) == (1, 3, 5)
    assert weak.change < strong.change < whole.change  # type: ignore[operator]


@pytest.mark.parametrize("model", ROWS)
def test_a_stop_keeps_what_the_model_foresaw(backends: dict[str, LocalBackend], made_with: Any, model: str) -> None:
    family, plan = backends[model].warm(model), made_with(model, frames=9, guidance_scale=1.0)
    with Heard(family) as heard:
        sample, told = run_segment(family, plan, stop_after=1)
    assert sample.steps_done == len(told) == len(heard.calls) == 1
    noise = torch.randn(sample.latents.shape, generator=torch.Generator().manual_seed(plan.seed))
    # At sigma 1 the latents are noise alone, and the velocity is noise − x0.
    assert np.allclose(sample.latents, (noise - heard.answers[0].float()).numpy(), atol=1e-3)
    assert run_segment(family, plan)[0].steps_done == 3, "the next run is not stopped"
    with pytest.raises(Cancelled, match="nothing to keep"):
        run_segment(family, plan, stop_after=0)


def test_the_command_line_makes_one_with_the_hub_switched_off(hub: Path, given: dict[str, str], tmp_path: Path) -> None:
    home = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub), "ONETAKE_HOME": str(tmp_path), "ONETAKE_DEVICE": "cpu"}
    words = ["animate", given["red"], "a red ball", "--model", "wan-5b", "--size", "256x256", "--frames", "5"]
    command = [sys.executable, "-m", "pipeline", *words, "--steps", "2", "-o", str(tmp_path / "a.mp4")]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | home, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 5


def test_files_that_are_missing_or_damaged_are_told_plainly(tmp_path: Path) -> None:
    spec = get_model("wan-1.3b")
    with pytest.raises(NotDownloaded, match="is not on this machine"):
        wan.load(spec, Settings(hub=tmp_path, device="cpu"))
    weights = next(place_wan(spec, tmp_path).glob("transformer/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(LoadError, match=r"Wan 2\.1 1\.3B could not be loaded .*Fetch its files anew\."):
        wan.load(spec, Settings(hub=tmp_path, device="cpu"))

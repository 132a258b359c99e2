"""The hosted LTX rows against their authors' settings: what the network is asked, latents equal to a bare call's."""

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXLatentUpsamplePipeline,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image
from test_ltx import run
from tiny_ltx import family_of
from torch import Tensor
from with_words import with_words

from pipeline.events import Latents, Pixels
from pipeline.families.ltx import LTXFamily
from pipeline.given.footage import Excerpt, read_clip
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.splice import dissolve
from pipeline.video import write_clip

if TYPE_CHECKING:
    from pipeline.families.family import Family

SMALL: dict[str, Any] = {"prompt": "a red ball", "width": 256, "height": 256, "seed": 7}
TEXT: list[float] = [1000, 993, 987, 981, 975, 909, 725, 0.03]
REFINE: list[float] = [909, 725, 421]

# The authors' timesteps for every mode, as their model cards and diffusers' documentation give them.
TIMESTEPS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "text": ({"frames": 9}, TEXT),
    "image": ({"task": "animate", "image": "picture", "frames": 9}, TEXT),
    "keyframes": ({"task": "animate", "image": "picture", "last": "picture", "frames": 17}, TEXT),
    "low": ({"task": "restyle", "video": "clip", "strength": "subtle"}, [421]),
    "mid": ({"task": "restyle", "video": "clip", "strength": "mild"}, [725, 421]),
    "high": ({"task": "restyle", "video": "clip", "strength": "strong"}, REFINE),
    "transition": ({"task": "transition", "first": "clip", "second": "clip", "seconds": 0.3}, REFINE),
    "loop": ({"task": "loop", "video": "clip", "seam": "short"}, TEXT),
    "loop of words": ({"task": "loop", "frames": 24}, TEXT),
    "refine": ({"frames": 9, "deliver": "480p"}, TEXT + REFINE),
}


each_row = pytest.mark.parametrize("family", ["ltx-13b", "ltx-2b"], indirect=True)


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Family":
    return family_of(getattr(request, "param", "ltx-13b"), tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A picture and a clip of 25 frames: a red block that crosses green under blue."""
    frames = np.zeros((25, 64, 64, 3), np.uint8)
    frames[:, :30], frames[:, 30:] = (120, 170, 230), (60, 140, 50)
    for number, frame in enumerate(frames):
        frame[24:40, 4 + number : 20 + number] = (210, 30, 25)
    folder = tmp_path_factory.mktemp("given")
    Image.fromarray(frames[0]).save(folder / "picture.png")
    write_clip([frames], folder / "clip.mp4", 24, {})
    return {"picture": str(folder / "picture.png"), "clip": str(folder / "clip.mp4")}


def plan(family: "Family", given: dict[str, str], **asked: Any) -> Plan:
    named = {name: given.get(value, value) if isinstance(value, str) else value for name, value in asked.items()}
    return make_plan(parse_request(SMALL | named), family.spec)


@pytest.fixture
def asked_of(family: "Family") -> Iterator[list[dict[str, Tensor]]]:
    """Everything that the transformer is asked, forward by forward."""
    calls: list[dict[str, Tensor]] = []
    hook = family.pipe.transformer.register_forward_pre_hook(
        lambda _module, _args, kwargs: calls.append(kwargs), with_kwargs=True
    )
    yield calls
    hook.remove()


def frames_of(plan: Plan, excerpt: Excerpt, side: int = 256) -> Pixels:
    return read_clip(excerpt, plan.fps, (side, side))


def bare(family: "Family", plan: Plan, conditions: list[Any] | None, side: int = 256, **settings: Any) -> Tensor:
    """Call the pipeline as its authors do, with its text encoder."""
    with with_words(family) as pipe:
        latents: Tensor = pipe(
            conditions=conditions,
            prompt=plan.prompt,
            width=side,
            height=side,
            num_frames=plan.segments[0].frames,
            frame_rate=24,
            guidance_scale=1.0,
            image_cond_noise_scale=0.0,
            generator=torch.Generator().manual_seed(plan.seed),
            max_sequence_length=256,
            output_type="latent",
            **settings,
        ).frames
    return latents


def conditions_of(plan: Plan, side: int = 256) -> list[LTXVideoCondition] | None:
    made = []
    for pin in plan.segments[0].pins:
        frames = [Image.fromarray(frame) for frame in frames_of(plan, pin.given, side)]
        shown = {"image": frames[0]} if len(frames) == 1 else {"video": frames}
        made.append(LTXVideoCondition(**shown, frame_index=pin.frame))
    return made or None


@each_row
@pytest.mark.parametrize("mode", TIMESTEPS)
def test_every_mode_runs_with_the_authors_timesteps_and_guidance(
    family: "Family", given: dict[str, str], asked_of: list[dict[str, Tensor]], mode: str
) -> None:
    asked, timesteps = TIMESTEPS[mode]
    sample, _ = run(family, plan(family, given, **asked))
    # Tokens that are given have timesteps of their own, below the step's.
    seen = torch.stack([call["timestep"].max() for call in asked_of])
    assert torch.equal(seen, torch.tensor(timesteps, dtype=torch.float32))
    assert {len(call["hidden_states"]) for call in asked_of} == {1}, "guidance would double the batch"
    assert sample.steps_done == sample.steps == len(timesteps)
    # The scheduler steps between the same levels, although its repository's own would shift and stretch them.
    last = timesteps[len(TEXT) :] if mode == "refine" else timesteps
    sigmas = torch.tensor([*last, 0.0], dtype=torch.float32) / 1000
    assert torch.equal(family.pipe.scheduler.sigmas[-len(sigmas) :], sigmas)
    assert len(family.pipe.scheduler.sigmas) - len(sigmas) == (last is not TEXT), "a level in front is never taken"


@pytest.mark.parametrize("mode", ["text", "image", "keyframes", "loop"])
def test_latents_from_noise_equal_the_bare_call(family: "Family", given: dict[str, str], mode: str) -> None:
    made = plan(family, given, **TIMESTEPS[mode][0])
    frames = [pin.frame for pin in made.segments[0].pins]
    assert frames == {"text": [], "image": [0], "keyframes": [0, 16], "loop": [0, 32]}[mode]
    theirs = bare(family, made, conditions_of(made), timesteps=TEXT)
    assert np.array_equal(run(family, made)[0].latents, theirs.float().numpy())


@pytest.mark.parametrize("mode", ["low", "mid", "high", "transition"])
def test_latents_from_a_clip_equal_the_bare_call(family: "Family", given: dict[str, str], mode: str) -> None:
    made = plan(family, given, **TIMESTEPS[mode][0])
    segment = made.segments[0]
    assert segment.source is not None
    frames = frames_of(made, segment.source.clip)
    if segment.source.other is not None:
        assert [(pin.frame, pin.given.frames) for pin in segment.pins] == [(0, 17), (24, 17)]
        frames = dissolve(frames, frames_of(made, segment.source.other), segment.frames, segment.source.curve)
    start = family.codec.encode(frames)
    timesteps = [1000, *TIMESTEPS[mode][1]]
    theirs = bare(family, made, conditions_of(made), latents=start, timesteps=timesteps, denoise_strength=0.999)
    assert np.array_equal(run(family, made)[0].latents, theirs.float().numpy())


@each_row
@pytest.mark.parametrize("mode", ["text", "image"])
def test_two_passes_equal_the_authors_three_calls(family: "Family", given: dict[str, str], mode: str) -> None:
    made = plan(family, given, **TIMESTEPS[mode][0], deliver="480p")
    assert (made.first_pass, made.width, made.height) == ((256, 256), 512, 512)
    sample, told = run(family, made)
    assert [(done, total) for done, total, _ in told] == [(step, 11) for step in range(1, 12)]
    assert [picture.shape[1] for _, _, picture in told] == [32] * 8 + [64] * 3
    doubler = family.doubler() if isinstance(family, LTXFamily) else None
    assert doubler is not None
    upsample = LTXLatentUpsamplePipeline(family.pipe.vae, doubler.pipe.latent_upsampler)
    small = bare(family, made, smaller(conditions_of(made, 512)), timesteps=TEXT)
    ratio = {"ltx-13b": 0.6, "ltx-2b": 0.0}[family.spec.name]
    large = upsample(latents=small, adain_factor=1.0, tone_map_compression_ratio=ratio, output_type="latent").frames
    refined = bare(
        family,
        made,
        conditions_of(made, 512),
        side=512,
        latents=large,
        timesteps=[1000, *REFINE],
        denoise_strength=0.999,
    )
    # The pipeline normalises what it doubled in bfloat16, we in float32.
    difference = np.abs(sample.latents - refined.float().numpy())
    assert difference.mean() < 0.01 * np.abs(sample.latents).mean()
    assert not np.allclose(sample.latents, large.float().numpy(), atol=0.1)


def smaller(conditions: list[LTXVideoCondition] | None) -> list[LTXVideoCondition] | None:
    """The same pictures at half the size."""
    return conditions and [
        LTXVideoCondition(image=each.image.resize((256, 256), Image.Resampling.LANCZOS), frame_index=each.frame_index)
        for each in conditions
    ]


def test_frames_are_those_of_the_pipelines_own_decoder(family: "Family", given: dict[str, str]) -> None:
    made = plan(family, given, frames=17)
    latents = run(family, made)[0].latents
    heard: list[tuple[Tensor, Tensor]] = []
    hook = family.pipe.vae.decoder.register_forward_pre_hook(lambda _module, args: heard.append(args))
    frames = np.concatenate(list(family.codec.decode(latents)))
    hook.remove()
    ((noisy, timestep),) = heard
    mean, std = (
        each.view(1, -1, 1, 1, 1).float() for each in (family.pipe.vae.latents_mean, family.pipe.vae.latents_std)
    )
    raw = (torch.from_numpy(latents) * std + mean).bfloat16()
    noise = torch.randn(raw.shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert timestep.item() == torch.tensor(0.05).bfloat16().item()
    assert torch.equal(noisy, (1 - 0.025) * raw + 0.025 * noise)
    with torch.no_grad():
        theirs = family.pipe.video_processor.postprocess_video(
            family.pipe.vae.decode(noisy, timestep).sample, output_type="np"
        )
    # Theirs are rounded to bfloat16 on the way to pictures.
    assert np.abs(frames - theirs[0] * 255).max() <= 1


def latents_of(frames: int) -> Latents:
    noise = torch.randn(1, 128, frames, 3, 3, generator=torch.Generator().manual_seed(3))
    return noise.numpy()


@pytest.mark.parametrize("frames", [16, 33])
def test_windows_change_nothing_that_shows(family: "Family", frames: int) -> None:
    latents = latents_of(frames)
    pieces = list(family.codec.decode(latents))
    assert len(pieces) == {16: 1, 33: 5}[frames], "the authors' 121 frames are decoded at once"
    whole = family.codec.decode_whole(torch.from_numpy(latents)).astype(float)
    assert psnr(np.concatenate(pieces), whole) > 50
    assert psnr(family.codec.last_frame(latents), whole[-1]) > 50
    assert whole.std() > 5


def psnr(one: Any, other: Any) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((one.astype(float) - other) ** 2), 1e-9)))


def test_what_we_use_of_diffusers_is_still_there() -> None:
    used = {
        LTXConditionPipeline.__call__: (
            *("conditions", "width", "height", "num_frames", "frame_rate", "num_inference_steps", "timesteps"),
            *("guidance_scale", "image_cond_noise_scale", "generator", "latents", "denoise_strength"),
            *("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask"),
            *("max_sequence_length", "output_type", "return_dict", "callback_on_step_end"),
        ),
        LTXConditionPipeline.encode_prompt: ("prompt", "do_classifier_free_guidance", "max_sequence_length"),
        LTXVideoCondition: ("image", "video", "frame_index", "strength"),
        LTXLatentUpsamplePipeline: ("vae", "latent_upsampler"),
        LTXLatentUpsamplePipeline.adain_filter_latent: ("latents", "reference_latents", "factor"),
        LTXLatentUpsamplePipeline.tone_map_latents: ("latents", "compression"),
        AutoencoderKLLTXVideo.decode: ("z", "temb", "return_dict"),
        FlowMatchEulerDiscreteScheduler: ("shift", "use_dynamic_shifting", "shift_terminal", "stochastic_sampling"),
    }
    for what, names in used.items():
        assert set(names) <= set(inspect.signature(what).parameters), what
    for part in (LTXVideoTransformer3DModel, AutoencoderKLLTXVideo):
        assert callable(part.from_single_file)
    plain = FlowMatchEulerDiscreteScheduler().config
    assert (plain.shift, plain.shift_terminal, plain.use_dynamic_shifting, plain.stochastic_sampling) == (
        *(1.0, None),
        *(False, False),
    )

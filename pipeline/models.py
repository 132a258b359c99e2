"""The registry: one literal row per model, with what it can do, its grid, limits and costs."""

from collections.abc import Callable

from pipeline.errors import UnknownModel
from pipeline.frames import Network
from pipeline.memory import Machine, stays_on_card
from pipeline.model_spec import Chunks, ModelSpec, Parts, Upsampler, Windows

# What Wan's authors steer away from, in all of their examples.
WAN_NEGATIVE = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
WAN_SHAPES = {"landscape": (832, 480), "square": (624, 624), "portrait": (480, 832), "ultrawide": (960, 416)}
LTX_SHAPES = {"landscape": (768, 512), "square": (640, 640), "portrait": (512, 768), "ultrawide": (960, 416)}
APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
LTX_LICENCE = "https://huggingface.co/Lightricks/LTX-Video/blob/main/LTX-Video-Open-Weights-License-0.X.txt"
EVERYTHING = ("text", "animate", "restyle", "transition", "loop", "extend", "storyboard")
# The levels that the 0.9.8 distilled models were taught, and those of a second pass (both model cards).
LTX_LEVELS, LTX_EDIT_LEVELS = (1.0, 0.993, 0.987, 0.981, 0.975, 0.909, 0.725, 0.00003), (0.909, 0.725, 0.421)
# The largest picture that their position embeddings were made for (the transformer's base_height and base_width), and
# what the upsampler's 126 million parameters weigh.
LTX_MAX_SIDE, LTX_UPSAMPLER_MB = 2048, 250
LTX_STRENGTHS = {"subtle": 0.421, "mild": 0.725, "strong": 0.909}  # the authors' low, mid and high

# What transformers and autoencoders of hosted models hold beside their weights was counted, tensor by tensor, on
# networks of their sizes without values: a forward at the row's own length, and a decoding of its frames.
MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="tabletop",
        title="Tabletop",
        repo="tabletop",
        revision="embedded",
        family="ltx",
        pipeline="LTXConditionPipeline",
        licence="Apache-2.0",
        tasks=EVERYTHING,
        knows="balls, cubes, cylinders and cones in eight colours on grass, sand, snow, water or checks",
        dtype="float32",
        grid=32,
        frame_grid=4,
        windows=Windows(keep=2, context=2),
        side_stride=16,
        fps=8,
        min_side=64,
        max_side=256,
        frames=17,
        max_frames=97,
        chunks=Chunks(33, 17),
        shapes={"landscape": (160, 96), "square": (128, 128), "portrait": (96, 160), "ultrawide": (224, 96)},
        shape="square",
        steps=25,
        max_steps=100,
        guidance_scale=4.0,
        max_guidance_scale=10.0,
        blend=0.93,
        network=Network(layers=8, width=256, ffn=1024, text_tokens=48),
        memory_mb=800,
        parts=Parts(0.0091, 0.0014, 0.0082, vae_bytes=4),
        memory_kb_per_token=15.0,
        gflops_per_second=60.0,
        decode_megapixels_per_second=1.0,
    ),
    ModelSpec(
        name="ltx-13b",
        title="LTX-Video 13B",
        repo="Lightricks/LTX-Video-0.9.8-13B-distilled",
        family="ltx",
        pipeline="LTXConditionPipeline",
        licence="LTXV Open Weights",
        licence_url=LTX_LICENCE,
        tasks=EVERYTHING,
        grid=32,
        frame_grid=8,
        windows=Windows(keep=8, context=4),
        side_stride=32,
        fps=24,
        min_side=256,
        max_side=1280,
        frames=121,
        max_frames=257,
        chunks=Chunks(121, 25),
        shapes=LTX_SHAPES,
        shape="landscape",
        min_steps=8,
        steps=8,
        max_steps=8,
        guidance_scale=1.0,
        max_guidance_scale=1.0,
        levels=LTX_LEVELS,
        edit_levels=LTX_EDIT_LEVELS,
        strengths=LTX_STRENGTHS,
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        upsampler=Upsampler(
            repo="Lightricks/ltxv-spatial-upscaler-0.9.7",
            revision="main",
            levels=LTX_EDIT_LEVELS,
            adain_factor=1.0,
            tone_map_compression_ratio=0.6,
            max_side=LTX_MAX_SIDE,
            memory_mb=LTX_UPSAMPLER_MB,
        ),
        network=Network(layers=48, width=4096, ffn=16384, text_tokens=256),
        download_gb=38.1,
        memory_mb=38_100,
        parts=Parts(13.04, 4.76, 1.25, decode_kb_per_pixel=4.1),
        memory_kb_per_token=240.0,
        gflops_per_second=395_000.0,
        decode_megapixels_per_second=100.0,
    ),
    ModelSpec(
        name="ltx-2b",
        title="LTX-Video 2B",
        repo="Lightricks/LTX-Video-0.9.5",
        weights=("Lightricks/LTX-Video", "ltxv-2b-0.9.8-distilled.safetensors"),
        family="ltx",
        pipeline="LTXConditionPipeline",
        licence="LTXV Open Weights",
        licence_url=LTX_LICENCE,
        tasks=EVERYTHING,
        grid=32,
        frame_grid=8,
        windows=Windows(keep=8, context=4),
        side_stride=32,
        fps=24,
        min_side=256,
        max_side=1280,
        frames=121,
        max_frames=257,
        chunks=Chunks(121, 25),
        shapes=LTX_SHAPES,
        shape="landscape",
        min_steps=8,
        steps=8,
        max_steps=8,
        guidance_scale=1.0,
        max_guidance_scale=1.0,
        levels=LTX_LEVELS,
        edit_levels=LTX_EDIT_LEVELS,
        strengths=LTX_STRENGTHS,
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        upsampler=Upsampler(
            repo="Lightricks/ltxv-spatial-upscaler-0.9.7",
            revision="main",
            levels=LTX_EDIT_LEVELS,
            adain_factor=1.0,
            tone_map_compression_ratio=0.0,
            max_side=LTX_MAX_SIDE,
            memory_mb=LTX_UPSAMPLER_MB,
        ),
        network=Network(layers=28, width=2048, ffn=8192, text_tokens=256),
        download_gb=15.9,
        memory_mb=15_900,
        parts=Parts(1.92, 4.76, 1.25, decode_kb_per_pixel=4.1),
        memory_kb_per_token=120.0,
        gflops_per_second=560_000.0,
        decode_megapixels_per_second=100.0,
    ),
    ModelSpec(
        name="wan-vace",
        title="Wan 2.1 VACE 1.3B",
        repo="Wan-AI/Wan2.1-VACE-1.3B-diffusers",
        family="wan",
        pipeline="WanVACEPipeline",
        licence="Apache-2.0",
        licence_url=APACHE,
        tasks=("text", "animate", "transition", "loop", "extend", "storyboard"),
        soft_pins=False,
        edits=False,
        rolls=False,
        grid=16,
        frame_grid=4,
        side_stride=8,
        patch=2,
        fps=16,
        min_side=256,
        max_side=960,
        frames=81,
        max_frames=81,
        shapes=WAN_SHAPES,
        shape="landscape",
        steps=30,
        max_steps=100,
        guidance_scale=5.0,
        max_guidance_scale=10.0,
        negative_prompt=WAN_NEGATIVE,
        flow_shift=3.0,
        network=Network(layers=45, width=1536, ffn=8960, text_tokens=512),
        download_gb=16.2,
        memory_mb=16_200,
        parts=Parts(2.15, 5.68, 0.127, 4, 20.5, tile=256),
        memory_kb_per_token=55.0,
        gflops_per_second=290_000.0,
        decode_megapixels_per_second=20.0,
    ),
    ModelSpec(
        name="wan-1.3b",
        title="Wan 2.1 1.3B",
        repo="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        family="wan",
        pipeline="WanPipeline",
        licence="Apache-2.0",
        licence_url=APACHE,
        tasks=("text", "restyle", "loop"),
        pins="none",
        # Those of the schedule at the shares of steps .5, .7 and .85; diffusers' example takes .7.
        strengths={"subtle": 0.75, "mild": 0.875, "strong": 0.944},
        grid=16,
        frame_grid=4,
        side_stride=8,
        patch=2,
        fps=16,
        min_side=256,
        max_side=960,
        frames=81,
        max_frames=81,
        shapes=WAN_SHAPES,
        shape="landscape",
        steps=50,
        max_steps=100,
        guidance_scale=5.0,
        max_guidance_scale=10.0,
        negative_prompt=WAN_NEGATIVE,
        flow_shift=3.0,
        network=Network(layers=30, width=1536, ffn=8960, text_tokens=512),
        download_gb=14.8,
        memory_mb=14_800,
        parts=Parts(1.42, 5.68, 0.127, 4, 20.5, tile=256),
        memory_kb_per_token=50.0,
        gflops_per_second=290_000.0,
        decode_megapixels_per_second=20.0,
    ),
    ModelSpec(
        name="wan-5b",
        title="Wan 2.2 5B",
        repo="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        family="wan",
        pipeline="WanPipeline",
        licence="Apache-2.0",
        licence_url=APACHE,
        tasks=("text", "animate", "loop"),
        pins="first",
        soft_pins=False,
        edits=False,
        grid=32,
        frame_grid=4,
        side_stride=16,
        patch=2,
        fps=24,
        min_side=256,
        max_side=1472,
        frames=121,
        max_frames=121,
        shapes={"landscape": (1280, 704), "square": (960, 960), "portrait": (704, 1280), "ultrawide": (1472, 608)},
        shape="landscape",
        steps=50,
        max_steps=100,
        guidance_scale=5.0,
        max_guidance_scale=10.0,
        negative_prompt=WAN_NEGATIVE,
        flow_shift=5.0,
        network=Network(layers=30, width=3072, ffn=14336, text_tokens=512),
        download_gb=24.2,
        memory_mb=24_200,
        parts=Parts(5.0, 5.68, 0.705, 4, 23.0, tile=256),
        memory_kb_per_token=85.0,
        gflops_per_second=330_000.0,
        decode_megapixels_per_second=20.0,
    ),
)


EMBEDDED = next(spec for spec in MODELS if spec.embedded)


def get_model(name: str) -> ModelSpec:
    """Return the row of that name; raise UnknownModel, naming the others."""
    for spec in MODELS:
        if spec.name == name:
            return spec
    names = ", ".join(spec.name for spec in MODELS)
    raise UnknownModel("model", f"There is no model {name!r}. Choose one of: {names}.")


def default_model(machine: Machine, is_here: Callable[[ModelSpec], bool], wanted: str | None = None) -> ModelSpec:
    """Return the model that a request without one gets; raise UnknownModel for a wanted one that is none.

    That is the wanted one, or else the largest of the LTX family that is on this machine and whose weights stay on the
    card, whole or narrowed, or else the embedded one.
    """
    if wanted:
        return get_model(wanted)
    hosted = (spec for spec in MODELS if spec.family == "ltx" and not spec.embedded)
    fitting = (spec for spec in hosted if stays_on_card(spec, machine) and is_here(spec))
    return max(fitting, key=lambda spec: spec.memory_mb, default=EMBEDDED)

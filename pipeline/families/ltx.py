"""The LTX family: LTXConditionPipeline does the denoising, its autoencoder the decoding, both as they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers import LTXConditionPipeline
from safetensors.torch import load_file
from torch import Tensor

from pipeline.errors import Cancelled, LoadError
from pipeline.events import IsCancelled, Latents, Pixels
from pipeline.families.ltx_conditions import (
    Read,
    change_since,
    given_latents,
    make_conditions,
    started_from,
    timesteps_from,
)
from pipeline.families.step_watch import StepWatch
from pipeline.frames import decode_windows, latent_shape
from pipeline.models import ModelSpec
from pipeline.plan import Plan
from pipeline.seams import calm_start
from pipeline.segments import Segment
from pipeline.settings import Settings
from pipeline.splice import dissolve

# Latent frames decoded at once, and their neighbours on each side. With two, no pixel differs by more than 2 of 255
# from decoding the clip as a whole (tests/test_ltx.py); more of either costs memory or time.
KEEP, CONTEXT = 2, 2
PREVIEW_PATCH = 4
# Latent frames of the other end that stand on each side of a loop when it is decoded: the decoder sees so far.
LEAD = 4

OnStep = Callable[[int, int, Pixels], None]
TextEmbeds = dict[str, Tensor | None]


@dataclass(frozen=True)
class Sample:
    """What denoising left: normalised latents (1, channels, frames, height, width) after so many of its steps.

    `change` is how far they are from what they started from, 0..1 (see strengths.CHANGES), None where from noise.
    """

    latents: Latents
    steps_done: int
    steps: int
    change: float | None = None


def load(spec: ModelSpec, settings: Settings) -> "LTXFamily":
    """Load a model's folder or repository; raise LoadError, whatever was wrong with it."""
    _keep_quiet()
    source = settings.assets / spec.repo if spec.embedded else spec.repo
    device = "cuda" if settings.device == "cuda" and torch.cuda.is_available() else "cpu"
    try:
        pipe = LTXConditionPipeline.from_pretrained(
            source,
            revision=None if spec.embedded else spec.revision,
            dtype=getattr(torch, spec.dtype),
            use_safetensors=True,
        )
        preview = load_file(Path(source) / "preview.safetensors")
    except Exception as error:  # a damaged folder can fail in any library on the way
        raise LoadError(
            f"{spec.title} could not be loaded from {source}: {_one_line(error)}. Fetch its files anew."
        ) from error
    _refuse_nan(pipe, spec)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(device)
    _set_attention(pipe, attention_backend(device, pipe.dtype))
    return LTXFamily(spec, pipe, preview)


def attention_backend(device: str, dtype: torch.dtype) -> str:
    """Return xformers where a small run of it succeeds, else native.

    Beside a torch that it was not built for, it is importable without kernels, and diffusers offers it all the same.
    """
    try:
        from xformers.ops import memory_efficient_attention

        probe = torch.zeros(1, 16, 2, 64, device=device, dtype=dtype)
        memory_efficient_attention(probe, probe, probe)
    except (ImportError, NotImplementedError, RuntimeError):
        return "native"
    return "xformers"


class LTXFamily:
    """A loaded pipeline and the linear map that previews its latents."""

    def __init__(self, spec: ModelSpec, pipe: Any, preview: dict[str, Tensor]) -> None:
        self.spec = spec
        self.pipe = pipe
        self._preview_weight = preview["weight"].float()
        self._preview_bias = preview["bias"].float()

    @torch.no_grad()
    def encode_text(self, plan: Plan, segment: Segment) -> TextEmbeds:
        """Encode the prompt as the pipeline would, and the empty one that guidance steers away from."""
        embeds = self.pipe.encode_prompt(
            segment.prompt,
            do_classifier_free_guidance=plan.guidance_scale > 1,
            max_sequence_length=self.spec.network.text_tokens,
        )
        names = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
        return dict(zip(names, embeds, strict=True))

    def run_segment(
        self, plan: Plan, segment: Segment, text: TextEmbeds, read: Read, on_step: OnStep, cancelled: IsCancelled
    ) -> Sample:
        """Denoise one segment; when cancelled, stop after the step and return what the model had by then.

        `read` returns the frames of an excerpt (frames, height, width, 3) at the size of the plan.
        """
        if cancelled():
            raise Cancelled("Stopped before the first step, so there is nothing to keep. Start it again when you like.")
        shape = latent_shape(segment.frames, plan.height, plan.width, self.spec.frame_grid, self.spec.side_stride)
        start = self._start(segment, read)
        timesteps, total = timesteps_from(plan.steps, segment.strength if segment.source else 1.0)
        given = given_latents(segment, shape, self.spec.frame_grid)
        noise, told = self._first_noise(plan.seed, shape), self._told(on_step, total)
        if start is not None:
            noise = torch.lerp(start.flatten(2).transpose(1, 2), noise, timesteps[0] / 1000)
        watch = StepWatch(noise, given, told, cancelled, segment.rolled)
        latents = self.pipe(
            conditions=make_conditions(segment, read),
            width=plan.width,
            height=plan.height,
            num_frames=segment.frames,
            frame_rate=plan.fps,
            num_inference_steps=plan.steps,
            guidance_scale=plan.guidance_scale,
            image_cond_noise_scale=0,
            generator=torch.Generator("cpu").manual_seed(plan.seed),
            max_sequence_length=self.spec.network.text_tokens,
            output_type="latent",
            return_dict=False,
            callback_on_step_end=watch,
            **started_from(start, timesteps),
            **text,
        )[0]
        kept = (watch.unrolled(latents) if watch.done == total else watch.estimate).float().cpu()
        if segment.rolled:
            # Where a loop begins is free. Players stop for a moment there, which shows least where little moves.
            kept = kept.roll(-calm_start(self.preview(kept)), 2)
        change = None if start is None else change_since(kept, start.cpu(), segment, self.spec.frame_grid)
        return Sample(kept.numpy(), watch.done, total, change)

    @torch.no_grad()
    def encode(self, frames: Pixels) -> Tensor:
        """Encode frames (n, height, width, 3) to normalised latents (1, channels, t, h, w)."""
        vae = self.pipe.vae
        pixels = torch.from_numpy(frames).to(vae.device, vae.dtype).permute(3, 0, 1, 2)[None] / 127.5 - 1
        mean, std = (values.view(1, -1, 1, 1, 1) for values in (vae.latents_mean, vae.latents_std))
        latents: Tensor = (vae.encode(pixels).latent_dist.mode() - mean) * vae.config.scaling_factor / std
        return latents.float()

    def decode_loop(self, latents: Latents) -> Pixels:
        """Decode latents that have no beginning: every latent frame among its neighbours, around the end."""
        around = latents.take(range(-LEAD, latents.shape[2] + LEAD), axis=2, mode="wrap")
        grid, first = self.spec.frame_grid, (LEAD - 1) * self.spec.frame_grid + 1
        frames = np.concatenate(list(self.decode(around)))
        return frames[first : first + grid * latents.shape[2]]

    def decode(self, latents: Latents) -> Iterator[Pixels]:
        """Decode window by window into frames (n, height, width, 3), so that memory does not grow with length."""
        for window in decode_windows(latents.shape[2], self.spec.frame_grid, KEEP, CONTEXT):
            pixels = self._decode_window(torch.from_numpy(latents[:, :, window.start : window.stop]))
            yield pixels[window.skip : window.skip + window.take]

    def last_frame(self, latents: Latents) -> Pixels:
        """Decode the last frame (height, width, 3) alone, with the latents before it as its context."""
        end = torch.from_numpy(latents[:, :, -(KEEP + CONTEXT) :])
        last: Pixels = self._decode_window(end)[-1]
        return last

    def preview(self, latents: Tensor) -> Pixels:
        """Map normalised latents (1, channels, t, h, w) to pictures (t, 4h, 4w, 3)."""
        cells = latents[0].movedim(0, -1).float().cpu() @ self._preview_weight + self._preview_bias
        t, h, w, _ = cells.shape
        patches = cells.view(t, h, w, PREVIEW_PATCH, PREVIEW_PATCH, 3).permute(0, 1, 3, 2, 4, 5)
        pictures = patches.reshape(t, h * PREVIEW_PATCH, w * PREVIEW_PATCH, 3)
        return (pictures * 255).round().clamp(0, 255).to(torch.uint8).numpy()

    def device_memory_mb(self) -> float | None:
        """Return the peak of a card's memory in MB, or None on a processor."""
        if self.pipe.device.type != "cuda":
            return None
        return float(torch.cuda.max_memory_allocated()) / 2**20

    @torch.no_grad()
    def _decode_window(self, latents: Tensor) -> Pixels:
        vae = self.pipe.vae
        latents = latents.to(vae.device, vae.dtype)
        mean, std = (values.view(1, -1, 1, 1, 1) for values in (vae.latents_mean, vae.latents_std))
        video = vae.decode(latents * std / vae.config.scaling_factor + mean, return_dict=False)[0]
        pixels: Tensor = (video[0].float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        return pixels.permute(1, 2, 3, 0).cpu().numpy()

    def _start(self, segment: Segment, read: Read) -> Tensor | None:
        if segment.source is None:
            return None
        clip, other = segment.source.clip, segment.source.other
        frames = (
            read(clip) if other is None else dissolve(read(clip), read(other), segment.frames, segment.source.curve)
        )
        return self.encode(frames)

    def _first_noise(self, seed: int, shape: tuple[int, int, int]) -> Tensor:
        # What the pipeline draws first from a generator with this seed, packed into tokens as it does.
        generator = torch.Generator("cpu").manual_seed(seed)
        noise = torch.randn((1, self.pipe.transformer.config.in_channels, *shape), generator=generator)
        return noise.flatten(2).transpose(1, 2).to(self.pipe.device)

    def _told(self, on_step: OnStep, total: int) -> Callable[[int, Tensor], None]:
        return lambda done, estimate: on_step(done, total, self.preview(estimate))


def _set_attention(pipe: Any, backend: str) -> None:
    # Self-attention only: the mask of the text is not every backend's to have.
    for block in pipe.transformer.transformer_blocks:
        block.attn1.set_attention_backend(backend)


def _refuse_nan(pipe: Any, spec: ModelSpec) -> None:
    for part in (pipe.transformer, pipe.vae, pipe.text_encoder):
        if not all(torch.isfinite(weights).all() for weights in part.parameters()):
            raise LoadError(
                f"{spec.title} has weights that are not numbers ({type(part).__name__}). Fetch its files anew."
            )


def _keep_quiet() -> None:
    # Progress bars and advice of these libraries are not for the user of an app; their errors still show.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")

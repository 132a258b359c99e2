"""The LTX family: LTXConditionPipeline does the denoising, its autoencoder the decoding, both as they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline
from torch import Tensor

from pipeline.errors import refuse_stopped
from pipeline.events import IsCancelled
from pipeline.families.attention import set_attention
from pipeline.families.begun import Begun, begun, kept, passed_over
from pipeline.families.change import change_since
from pipeline.families.codec import Codec
from pipeline.families.family import OnStep, Read, Sample, Source, TextEmbeds
from pipeline.families.loading import device_of, peak_mb, refuse_nan, source_of, told_plainly
from pipeline.families.ltx_conditions import at_size, given_latents, going_on, made_before, make_conditions, scheduled
from pipeline.families.ltx_parts import Doubler, load_doubler, parts_of_file
from pipeline.families.placing import place
from pipeline.families.preview import Preview, preview_for
from pipeline.families.step_watch import StepWatch, eased
from pipeline.families.text_encoder import TextEncoder, without_text
from pipeline.frames import latent_shape
from pipeline.memory import Policy
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.planning.delivery import Pass, passes_of
from pipeline.planning.segments import Segment
from pipeline.seams import calm_start
from pipeline.settings import Settings
from pipeline.splice import dissolve


def load(spec: ModelSpec, settings: Settings, policy: Policy = "whole") -> "LTXFamily":
    """Load a model's folder or repository; raise LoadError, whatever was wrong with it."""
    source, device = source_of(spec, settings), device_of(settings)
    with told_plainly(spec, source["pretrained_model_name_or_path"]):
        parts = parts_of_file(spec, settings) | without_text(spec, settings)
        pipe = LTXConditionPipeline.from_pretrained(**source, **parts)
        refuse_nan(pipe, spec)
        if spec.levels:
            # The levels of a distilled model are taken as they are, whatever its repository's schedule shifts.
            pipe.scheduler = FlowMatchEulerDiscreteScheduler()
        pipe.set_progress_bar_config(disable=True)
        # Self-attention only: that to the text has a mask.
        set_attention(pipe.transformer, device, ("attn1",))
        place(pipe, policy, device, settings.compile)
        statistics = (pipe.vae.latents_mean, pipe.vae.latents_std / pipe.vae.config.scaling_factor)
        codec = Codec(pipe.vae, spec, statistics, device)
        words = TextEncoder(spec, pipe, source, policy, device)
        return LTXFamily(spec, pipe, codec, preview_for(spec, settings.assets, codec.encode), words, settings)


@dataclass(frozen=True)
class _Run:
    """What both passes of a segment share; `told` takes the steps before a pass, those in it, and an estimate.

    `begun` is what was done of both before.
    """

    plan: Plan
    segment: Segment
    text: TextEmbeds
    read: Source
    cancelled: IsCancelled
    told: Callable[[int, int, Tensor], None]
    begun: Begun


@dataclass(frozen=True)
class _Made:
    """Normalised latents (1, channels, t, h, w) after so many steps, and what it takes to do the others of a pass."""

    latents: Tensor
    done: int
    state: Mapping[str, Tensor]


class LTXFamily:
    """A loaded pipeline, its codec, the linear map that previews its latents, and the text encoder."""

    def __init__(
        self, spec: ModelSpec, pipe: Any, codec: Codec, preview: Preview, words: TextEncoder, settings: Settings
    ) -> None:
        self.spec = spec
        self.pipe = pipe
        self.codec = codec
        self.preview = preview
        self.words = words
        self._settings = settings
        self._double: Doubler | None = None

    def device_memory_mb(self) -> float | None:
        """Return the peak of a card's memory in MB, or None on a processor."""
        return peak_mb(self.pipe.device.type)

    @torch.no_grad()
    def encode_text(self, plan: Plan, segment: Segment) -> TextEmbeds:
        """Encode the prompt as the pipeline would, and the empty one that guidance steers away from."""
        with self.words.at_hand(plan.estimate.beside) as words:
            embeds = words.encode_prompt(
                segment.prompt,
                do_classifier_free_guidance=plan.guidance_scale > 1,
                max_sequence_length=self.spec.network.text_tokens,
                device=self.pipe.device,
            )
        names = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
        return dict(zip(names, embeds, strict=True))

    def run_segment(
        self, plan: Plan, segment: Segment, text: TextEmbeds, read: Source, on_step: OnStep, cancelled: IsCancelled
    ) -> Sample:
        """Denoise one segment; when cancelled, stop after the step and return what the model had by then.

        `read` returns the frames of an excerpt (frames, height, width, 3) at the size of the plan. What is stopped in
        the first of two passes is doubled and not refined.
        """
        refuse_stopped(cancelled)
        first, *refining = passes_of(self.spec, segment, plan.steps, (plan.width, plan.height), plan.first_pass)
        # Files that are missing are told before the first step.
        double = self.doubler() if refining else None
        steps = len(first.levels) + sum(len(each.levels) for each in refining)
        run = _Run(plan, segment, text, read, cancelled, self._told(on_step, steps), begun(plan))
        start = self._start(segment, at_size(read, first.size))
        if run.begun.steps > len(first.levels):
            made = self._passed(segment, first, refining[0])
        else:
            made = self._denoise(run, first, start)
            if double:
                made = replace(made, latents=double(made.latents, segment.rolled))
        if double:
            if made.done == len(first.levels) and not cancelled():
                made = self._denoise(run, refining[0], made.latents, made.done)
            start = self._start(segment, read)
        latents = made.latents.float().cpu()
        if segment.rolled:
            # Where a loop begins is free. Players stop for a moment there, which shows least where little moves.
            latents = latents.roll(-calm_start(self.preview(latents)), 2)
        change = None if start is None else change_since(latents, start.cpu(), segment, self.spec.frame_grid)
        return Sample(latents.numpy(), made.done, steps, change, None if made.done == steps else kept(made.state))

    def doubler(self) -> Doubler | None:
        """Return what doubles latents between two passes, loaded when it is first wanted; raise NotDownloaded."""
        if self._double is None and self.spec.upsampler:
            self._double = load_doubler(self.spec, self.spec.upsampler, self.codec, self._settings)
        return self._double

    def _passed(self, segment: Segment, first: Pass, following: Pass) -> "_Made":
        """Return a pass that was done before: what it made is already taken up in what the following one has made."""
        shape = (1, self.pipe.transformer.config.in_channels, *self._shape(segment, following))
        return _Made(torch.zeros(shape, device=self.pipe.device), len(first.levels), {})

    def _denoise(self, run: "_Run", each: Pass, start: Tensor | None, before: int = 0) -> "_Made":
        """Do a pass that comes after so many steps of another, or what is left of it."""
        plan, segment = run.plan, run.segment
        width, height = each.size
        shape = self._shape(segment, each)
        noise = self._first_noise(plan.seed, shape)
        if start is not None:
            noise = torch.lerp(start.to(noise.device).flatten(2).transpose(1, 2), noise, each.levels[0])
        given = given_latents(segment, shape, self.spec.frame_grid)
        done_before = run.begun.after(before)
        watch = StepWatch(noise, given, partial(run.told, before), run.cancelled, segment.rolled, done_before)
        made = made_before(segment, run.read, shape)
        known = None if made is None else self.codec.denormalised(made)
        with passed_over(self.pipe.transformer, lambda: watch.passing), going_on(self.pipe.vae, known):
            latents = self.pipe(
                conditions=make_conditions(segment, at_size(run.read, each.size)),
                width=width,
                height=height,
                num_frames=segment.frames,
                frame_rate=plan.fps,
                num_inference_steps=plan.steps,
                guidance_scale=plan.guidance_scale,
                image_cond_noise_scale=0,
                generator=torch.Generator("cpu").manual_seed(plan.seed),
                max_sequence_length=self.spec.network.text_tokens,
                output_type="latent",
                return_dict=False,
                callback_on_step_end=eased(watch, plan.guidance_scale, segment.late_guidance),
                **scheduled(start, each.levels, bool(self.spec.levels)),
                **run.text,
            )[0]
        whole = watch.done == len(each.levels)
        return _Made(watch.unrolled(latents) if whole else watch.estimate, before + watch.done, watch.state)

    def _shape(self, segment: Segment, each: Pass) -> tuple[int, int, int]:
        width, height = each.size
        return latent_shape(segment.frames, height, width, self.spec.frame_grid, self.spec.side_stride)

    def _start(self, segment: Segment, read: Read) -> Tensor | None:
        if segment.source is None:
            return None
        clip, other = segment.source.clip, segment.source.other
        frames = (
            read(clip) if other is None else dissolve(read(clip), read(other), segment.frames, segment.source.curve)
        )
        return self.codec.encode(frames)

    def _first_noise(self, seed: int, shape: tuple[int, int, int]) -> Tensor:
        # What the pipeline draws first from a generator with this seed, packed into tokens as it does.
        generator = torch.Generator("cpu").manual_seed(seed)
        noise = torch.randn((1, self.pipe.transformer.config.in_channels, *shape), generator=generator)
        return noise.flatten(2).transpose(1, 2).to(self.pipe.device)

    def _told(self, on_step: OnStep, total: int) -> Callable[[int, int, Tensor], None]:
        return lambda before, done, estimate: on_step(before + done, total, self.preview(estimate))

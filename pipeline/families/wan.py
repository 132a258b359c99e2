"""The Wan family: text, VACE and the pipelines that share their parts do the denoising, all as they are."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import diffusers
import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanVideoToVideoPipeline
from PIL import Image
from torch import Tensor

from pipeline.errors import refuse_stopped
from pipeline.events import IsCancelled
from pipeline.families.attention import set_attention
from pipeline.families.begun import begun, kept, passed_over
from pipeline.families.causal_codec import CausalCodec
from pipeline.families.change import change_since
from pipeline.families.codec import Codec
from pipeline.families.family import OnStep, Read, Sample, TextEmbeds
from pipeline.families.loading import device_of, peak_mb, refuse_nan, source_of, told_plainly
from pipeline.families.placing import place
from pipeline.families.preview import Preview, preview_for
from pipeline.families.text_encoder import TextEncoder, without_text
from pipeline.families.wan_conditions import masked_video, started_from, turned
from pipeline.families.wan_watch import WanWatch
from pipeline.memory import Policy
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.planning.segments import Segment
from pipeline.seams import calm_start
from pipeline.settings import Settings

# What every pipeline of the family is made of.
PARTS = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")


def load(spec: ModelSpec, settings: Settings, policy: Policy = "whole") -> "WanFamily":
    """Load a model's folder; raise LoadError, whatever was wrong with it."""
    source, device = source_of(spec, settings), device_of(settings)
    with told_plainly(spec, source["pretrained_model_name_or_path"]):
        # The authors decode in float32; the pipelines take other kinds for granted nowhere.
        source["dtype"] = {"vae": torch.float32, "default": source["dtype"]}
        pipe = getattr(diffusers, spec.pipeline).from_pretrained(**source, **without_text(spec, settings))
        refuse_nan(pipe, spec)
        pipe.scheduler = _scheduler(pipe.scheduler, spec)
        pipe.set_progress_bar_config(disable=True)
        set_attention(pipe.transformer, device, ("attn1",))
        place(pipe, policy, device, settings.compile)
        statistics = (torch.tensor(pipe.vae.config.latents_mean), torch.tensor(pipe.vae.config.latents_std))
        codec = CausalCodec(pipe.vae, spec, statistics, device)
        words = TextEncoder(spec, pipe, source, policy, device)
        return WanFamily(spec, pipe, codec, preview_for(spec, settings.assets, codec.encode), words)


class WanFamily:
    """A loaded pipeline, its codec, the linear map that previews its latents, and the text encoder."""

    def __init__(self, spec: ModelSpec, pipe: Any, codec: Codec, preview: Preview, words: TextEncoder) -> None:
        self.spec = spec
        self.pipe = pipe
        self.codec = codec
        self.preview = preview
        self.words = words

    def device_memory_mb(self) -> float | None:
        """Return the peak of a card's memory in MB, or None on a processor."""
        return peak_mb(self.pipe.device.type)

    @torch.no_grad()
    def encode_text(self, plan: Plan, segment: Segment) -> TextEmbeds:
        """Encode the prompt as the pipeline would, and the authors' negative one that guidance steers away from."""
        with self.words.at_hand(plan.estimate.beside) as words:
            embeds = words.encode_prompt(
                segment.prompt,
                negative_prompt=self.spec.negative_prompt,
                do_classifier_free_guidance=plan.guidance_scale > 1,
                max_sequence_length=self.spec.network.text_tokens,
                device=self.pipe.device,
            )
        return dict(zip(("prompt_embeds", "negative_prompt_embeds"), embeds, strict=True))

    def run_segment(
        self, plan: Plan, segment: Segment, text: TextEmbeds, read: Read, on_step: OnStep, cancelled: IsCancelled
    ) -> Sample:
        """Denoise one segment; when cancelled, stop after the step and return what the model had by then.

        `read` returns the frames of an excerpt (frames, height, width, 3) at the size of the plan.
        """
        refuse_stopped(cancelled)
        start = None if segment.source is None else self.codec.encode(read(segment.source.clip))
        levels = self.spec.levels_from(segment.start, plan.steps)
        pipe, told = self._told(plan, segment, start, read)
        watch = WanWatch(self._held(segment, read), self._shown(on_step, len(levels)), cancelled, begun(plan))
        turning = turned(pipe.transformer, lambda: watch.done) if segment.rolled else nullcontext()
        with turning, passed_over(pipe.transformer, lambda: watch.passing):
            latents = pipe(
                width=plan.width,
                height=plan.height,
                num_inference_steps=plan.steps,
                guidance_scale=plan.guidance_scale,
                generator=torch.Generator("cpu").manual_seed(plan.seed),
                max_sequence_length=self.spec.network.text_tokens,
                output_type="latent",
                return_dict=False,
                callback_on_step_end=watch,
                **told,
                **text,
            )[0]
        whole = watch.done == len(levels)
        made = (latents if whole else watch.estimate).float().cpu()
        if segment.rolled:
            # Where a loop begins is free. Players stop for a moment there, which shows least where little moves.
            made = made.roll(-calm_start(self.preview(made)), 2)
        change = None if start is None else change_since(made, start.cpu(), segment, self.spec.frame_grid)
        return Sample(made.numpy(), watch.done, len(levels), change, None if whole else kept(watch.state))

    def _told(self, plan: Plan, segment: Segment, start: Tensor | None, read: Read) -> tuple[Any, dict[str, Any]]:
        """Return the pipeline that a segment needs, and what only that one is told."""
        if start is not None:
            levels = self.spec.levels_from(segment.start, plan.steps)
            return self._beside(WanVideoToVideoPipeline), started_from(start, levels, plan.steps, plan.seed)
        told: dict[str, Any] = {"num_frames": segment.frames}
        if not segment.pins:
            return self.pipe, told
        if self.spec.pins == "first":
            beside = self._beside(WanImageToVideoPipeline, expand_timesteps=self.pipe.config.expand_timesteps)
            return beside, told | {"image": Image.fromarray(read(segment.pins[0].given)[0])}
        return self.pipe, told | masked_video(segment, (plan.width, plan.height), read)

    def _held(self, segment: Segment, read: Read) -> Tensor | None:
        """Return the latents at the beginning that stay as they are given."""
        if self.spec.pins != "first" or not segment.pins:
            return None
        return self.codec.encode(read(segment.pins[0].given))

    def _beside(self, kind: Any, **config: Any) -> Any:
        """Make another pipeline over the same parts: it costs no memory."""
        pipe = kind(**{name: self.pipe.components[name] for name in PARTS}, **config)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _shown(self, on_step: OnStep, total: int) -> Callable[[int, Tensor], None]:
        return lambda done, estimate: on_step(done, total, self.preview(estimate))


def _scheduler(scheduler: Any, spec: ModelSpec) -> Any:
    """Return UniPC with the shift that the authors give for the sizes of this model."""
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": spec.flow_shift}
    return UniPCMultistepScheduler.from_config(scheduler.config, **flow)

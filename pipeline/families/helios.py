"""The Helios family: each segment is a chunk of its authors' long takes, made from the latents of all that came before.

Their pipeline makes all chunks in one call. It is called here once for each, with what it would remember by then, so
that a chunk can be watched, stopped and kept like the parts of other models' takes.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import HeliosDMDScheduler
from torch import Tensor
from torch.nn.functional import interpolate

from pipeline.errors import refuse_stopped
from pipeline.events import IsCancelled, Latents
from pipeline.families.attention import set_attention
from pipeline.families.begun import Begun, begun, in_place_of, kept, passed_over
from pipeline.families.causal_codec import CausalCodec
from pipeline.families.codec import Codec
from pipeline.families.family import OnStep, Sample, Source, TextEmbeds
from pipeline.families.loading import device_of, peak_mb, refuse_nan, source_of, told_plainly
from pipeline.families.placing import place
from pipeline.families.preview import Preview, preview_for
from pipeline.families.text_encoder import TextEncoder, without_text
from pipeline.memory import Policy
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.planning.delivery import passes_of
from pipeline.planning.segments import Segment
from pipeline.settings import Settings

# What is looked back on: the pipeline's own history of 16, 2 and 1 latent frames fits into the last three chunks.
CHUNKS_BACK = 3
# At a third, the authors' own, the covariance of the noise between two stages has no root: in float32 LAPACK refuses it
# (vllm-omni#4908). So much below, the mean of four neighbours spreads by .001.
MOST_GAMMA = 1 / 3 - 1e-6
# The latents after a step, and those at the end of the stage before, from which its own are enlarged.
LATENTS, BEFORE = "latents", "before"


def load(spec: ModelSpec, settings: Settings, policy: Policy = "whole") -> "HeliosFamily":
    """Load a model's folder; raise LoadError, whatever was wrong with it."""
    source, device = source_of(spec, settings), device_of(settings)
    with told_plainly(spec, source["pretrained_model_name_or_path"]):
        # The authors decode in float32.
        source["dtype"] = {"vae": torch.float32, "default": source["dtype"]}
        pipe = getattr(diffusers, spec.pipeline).from_pretrained(**source, **without_text(spec, settings))
        refuse_nan(pipe, spec)
        pipe.scheduler = _scheduler(pipe.scheduler)
        pipe.set_progress_bar_config(disable=True)
        set_attention(pipe.transformer, device, ("attn1",))
        place(pipe, policy, device, settings.compile)
        statistics = (torch.tensor(pipe.vae.config.latents_mean), torch.tensor(pipe.vae.config.latents_std))
        codec = CausalCodec(pipe.vae, spec, statistics, device)
        words = TextEncoder(spec, pipe, source, policy, device)
        return HeliosFamily(spec, pipe, codec, preview_for(spec, settings.assets, codec.encode), words)


class HeliosFamily:
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
        """Encode the prompt as the pipeline would; a distilled model is not guided away from anything."""
        with self.words.at_hand(plan.estimate.beside) as words:
            embeds, _ = words.encode_prompt(
                segment.prompt,
                do_classifier_free_guidance=False,
                max_sequence_length=self.spec.network.text_tokens,
                device=self.pipe.device,
            )
        return {"prompt_embeds": embeds}

    def run_segment(
        self, plan: Plan, segment: Segment, text: TextEmbeds, read: Source, on_step: OnStep, cancelled: IsCancelled
    ) -> Sample:
        """Denoise one chunk; when cancelled, stop after the step and return what the model had by then."""
        refuse_stopped(cancelled)
        steps = [
            len(each.levels) for each in passes_of(self.spec, segment, plan.steps, (plan.width, plan.height), None)
        ]
        watch = HeliosWatch(steps, self._shown(on_step, sum(steps)), cancelled, begun(plan))
        with suppress(Enough), passed_over(self.pipe.transformer, lambda: watch.passing):
            self.pipe(
                width=plan.width,
                height=plan.height,
                num_frames=segment.frames,
                pyramid_num_inference_steps_list=[plan.steps // self.spec.pyramid] * self.spec.pyramid,
                guidance_scale=plan.guidance_scale,
                is_amplify_first_chunk=not segment.remembers,
                generator=torch.Generator("cpu").manual_seed(plan.seed),
                max_sequence_length=self.spec.network.text_tokens,
                output_type="latent",
                return_dict=False,
                callback_on_step_end=watch,
                **(self._remembered(read.made) if segment.remembers else {}),
                **text,
            )
        whole = watch.done == sum(steps)
        made = watch.enlarged.float().cpu()
        return Sample(made.numpy(), watch.done, sum(steps), state=None if whole else kept(watch.state))

    def _remembered(self, made: Sequence[Latents]) -> dict[str, Any]:
        """Return what the pipeline has in mind after these chunks: their latents as they are, and the very first one.

        It would add noise to latents that come from elsewhere, but not to its own.
        """
        device = self.pipe._execution_device
        first = torch.from_numpy(made[0][:, :, :1]).to(device)
        last = torch.from_numpy(np.concatenate(made[-CHUNKS_BACK:], axis=2)).to(device)
        own = {"add_noise_to_image_latents": False, "add_noise_to_video_latents": False}
        return {"image_latents": first, "video_latents": last, **own}

    def _shown(self, on_step: OnStep, total: int) -> Callable[[int, Tensor], None]:
        return lambda done, estimate: on_step(done, total, self.preview(estimate))


class Enough(Exception):
    """Ends a call of a pipeline that cannot be interrupted, and would decode what it made whatever it is asked for."""


class Foreseeing(HeliosDMDScheduler):  # type: ignore[misc]
    """The authors' scheduler, which also tells what its model foresees at the end of a stage."""

    foreseen: Tensor

    def convert_flow_pred_to_x0(self, *told: Any, **given: Any) -> Tensor:
        """Return the end of the stage, and keep it."""
        self.foreseen = super().convert_flow_pred_to_x0(*told, **given)
        return self.foreseen


class HeliosWatch:
    """The pipeline's step callback: keeps what the model foresees, and ends the call after the last step wanted.

    `stages` are the steps of each stage. Steps that were `begun` before are passed over. `state` is what the pipeline
    holds after a step.
    """

    def __init__(
        self, stages: Sequence[int], on_step: Callable[[int, Tensor], None], cancelled: IsCancelled, begun: Begun
    ) -> None:
        self.done = 0
        self.enlarged: Tensor
        self.state: dict[str, Tensor] = {}
        self._ends = list(accumulate(stages))
        self._begun = begun
        self._on_step = on_step
        self._cancelled = cancelled

    @property
    def passing(self) -> bool:
        """True until the steps that were done before have passed."""
        return self.done < self._begun.steps

    def __call__(self, pipe: Any, _index: int, _timestep: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take note of a step that was done; raise Enough after the last one, or when cancelled."""
        passing, latents = self.passing, tensors[LATENTS]
        self.done += 1
        if passing:
            latents = self._put_back(latents)
        stage = sum(self.done > end for end in self._ends)
        before = {BEFORE: self.state[BEFORE]} if BEFORE in self.state else {}
        self.state = {LATENTS: latents} | ({BEFORE: latents} if self.done in self._ends else before)
        if passing:
            return {LATENTS: latents}
        self.enlarged = _enlarged(pipe.scheduler.foreseen, 2 ** (len(self._ends) - 1 - stage))
        self._on_step(self.done, self.enlarged)
        if self.done == self._ends[-1] or self._cancelled():
            raise Enough
        return {}

    def _put_back(self, latents: Tensor) -> Tensor:
        """Return what was kept in place of latents that were passed over, where it matters for those that follow."""
        if self.done == self._begun.steps:
            return in_place_of(latents, self._begun.tensors[LATENTS])
        if self.done == max((end for end in self._ends if end < self._begun.steps), default=0):
            return in_place_of(latents, self._begun.tensors[BEFORE])
        return latents


def _scheduler(scheduler: Any) -> Any:
    """Return the authors' scheduler with settings that every machine can compute."""
    gamma = min(scheduler.config.gamma, MOST_GAMMA)
    return Foreseeing.from_config(scheduler.config, gamma=gamma)


def _enlarged(latents: Tensor, times: int) -> Tensor:
    """Return latents of a stage at the size of the last one, as the pipeline enlarges them between two stages."""
    return interpolate(latents.float(), scale_factor=(1, times, times), mode="nearest")

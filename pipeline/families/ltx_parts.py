"""Parts of an LTX pipeline that do not lie in its folder: those of a single file, and the upsampler of latents."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTXVideo, LTXLatentUpsamplePipeline, LTXVideoTransformer3DModel
from torch import Tensor

from pipeline.downloads import folder_of, model_folder, weights_file
from pipeline.errors import LoadError
from pipeline.families.codec import LEAD, Codec
from pipeline.families.loading import device_of, told_plainly
from pipeline.model_spec import ModelSpec, Upsampler
from pipeline.settings import Settings


def parts_of_file(spec: ModelSpec, settings: Settings) -> dict[str, Any]:
    """Load transformer and autoencoder from a model's single file, as the pipeline takes them; none where it has none.

    Raise NotDownloaded, or LoadError where the file does not fill them.
    """
    file = weights_file(spec, settings)
    if file is None:
        return {}
    # Their sizes are those of the folder's own transformer and autoencoder. For LTX-Video 2B that is release 0.9.5,
    # which diffusers recognises by 2,048 channels at the end of the encoder; that 0.9.8 still has its sizes, only the
    # real file shows: another shape or name is a LoadError, never a silent guess.
    source = {
        "config": str(model_folder(spec, settings)),
        "local_files_only": True,
        "dtype": getattr(torch, spec.dtype),
    }
    parts = {
        "transformer": LTXVideoTransformer3DModel.from_single_file(str(file), subfolder="transformer", **source),
        "vae": AutoencoderKLLTXVideo.from_single_file(str(file), subfolder="vae", **source),
    }
    for part in parts.values():
        _refuse_gaps(part, spec, file)
    return parts


def _refuse_gaps(part: torch.nn.Module, spec: ModelSpec, file: Path) -> None:
    # diffusers leaves what it did not find without memory, and says nothing.
    for name, weights in part.state_dict().items():
        if weights.is_meta:
            raise LoadError(f"{spec.title} lacks {name} in {file.name}. Fetch its files anew.")


class Doubler:
    """Doubles the sides of latents, as the authors do between their two passes.

    The pipeline's own call takes its device from the autoencoder and resets hooks on it, although it may wait anywhere;
    so its steps are called one by one, and only the upsampler is moved.
    """

    def __init__(self, pipe: Any, row: Upsampler, codec: Codec, device: str) -> None:
        self._pipe = pipe
        self._row = row
        self._codec = codec
        self._device = device

    @torch.no_grad()
    def __call__(self, latents: Tensor, rolled: bool = False) -> Tensor:
        """Turn normalised latents (1, channels, t, h, w) into (1, channels, t, 2h, 2w); rolled ones go round."""
        count = latents.shape[2]
        if rolled:
            latents = latents[:, :, torch.arange(-LEAD, count + LEAD, device=latents.device) % count]
        model = self._pipe.latent_upsampler.to(self._device)
        raw = self._codec.denormalised(latents).to(self._device, model.dtype)
        large = self._pipe.adain_filter_latent(model(raw), raw, self._row.adain_factor)
        large = self._codec.normalised(self._pipe.tone_map_latents(large, self._row.tone_map_compression_ratio))
        model.to("cpu")
        return large[:, :, LEAD : LEAD + count] if rolled else large


def load_doubler(spec: ModelSpec, row: Upsampler, codec: Codec, settings: Settings) -> Doubler:
    """Load a model's upsampler beside its autoencoder; raise NotDownloaded or LoadError."""
    folder = folder_of(row.repo, row.revision, settings)
    with told_plainly(spec, folder):
        how = {"dtype": getattr(torch, spec.dtype), "use_safetensors": True}
        pipe = LTXLatentUpsamplePipeline.from_pretrained(str(folder), vae=codec.vae, **how)
    return Doubler(pipe, row, codec, device_of(settings))

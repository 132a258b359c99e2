"""Parts of an LTX pipeline that do not lie in its folder: those of a single file, and the upsampler of latents."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTXVideo, LTXLatentUpsamplePipeline, LTXVideoTransformer3DModel
from safetensors import safe_open
from torch import Tensor

from pipeline.errors import LoadError
from pipeline.families.codec import Codec
from pipeline.families.loading import device_of, told_plainly
from pipeline.hub.downloads import folder_of, is_here, model_folder, not_downloaded, weights_file
from pipeline.model_spec import ModelSpec, Upsampler
from pipeline.settings import Settings

# The names that a single file gives to the mean and the deviation of the autoencoder's latents.
STATISTICS = ("vae.per_channel_statistics.mean-of-means", "vae.per_channel_statistics.std-of-means")


def parts_of_file(spec: ModelSpec, settings: Settings) -> dict[str, Any]:
    """Load transformer and autoencoder from a model's single file, as the pipeline takes them; none where it has none.

    Raise NotDownloaded, or LoadError where the file does not fill them.
    """
    file = weights_file(spec, settings)
    if file is None:
        return {}
    # Their sizes are those of the folder's own transformer and autoencoder. For LTX-Video 2B that is release 0.9.5,
    # which diffusers recognises by 2,048 channels at the end of the encoder; that 0.9.8 still has its sizes, only the
    # real file shows: another shape, or a name that is not there, is a LoadError and never a silent guess.
    how = {"config": str(model_folder(spec, settings)), "local_files_only": True, "dtype": getattr(torch, spec.dtype)}
    with told_plainly(spec, file):
        _refuse_gaps(spec, file)
        return {
            "transformer": LTXVideoTransformer3DModel.from_single_file(str(file), subfolder="transformer", **how),
            "vae": AutoencoderKLLTXVideo.from_single_file(str(file), subfolder="vae", **how),
        }


def _refuse_gaps(spec: ModelSpec, file: Path) -> None:
    # What else is missing stays without memory in diffusers, which fails when it is moved. These would stay 0 and 1.
    with safe_open(str(file), "pt") as weights:
        missing = [name for name in STATISTICS if name not in weights.keys()]  # noqa: SIM118 - it is no mapping
    if missing:
        raise LoadError(f"{spec.title} lacks {missing[0]} in {file.name}. Fetch its files anew.")


class Doubler:
    """Doubles the sides of latents, as the authors do between their two passes.

    The pipeline's own call takes its device from the autoencoder and resets hooks on it, although it may wait anywhere;
    so its steps are called one by one, and only the upsampler is moved.
    """

    def __init__(self, pipe: Any, row: Upsampler, codec: Codec, device: str) -> None:
        self.pipe = pipe
        self._row = row
        self._codec = codec
        self._device = device

    @torch.no_grad()
    def __call__(self, latents: Tensor, rolled: bool = False) -> Tensor:
        """Turn normalised latents (1, channels, t, h, w) into (1, channels, t, 2h, 2w); rolled ones go round."""
        model = self.pipe.latent_upsampler.to(self._device)
        raw = self._codec.denormalised(latents).to(self._device, model.dtype)
        with _going_round(model) if rolled else nullcontext():
            large = model(raw)
        model.to("cpu")
        large = self.pipe.adain_filter_latent(large, raw, self._row.adain_factor)
        return self._codec.normalised(self.pipe.tone_map_latents(large, self._row.tone_map_compression_ratio))


@contextmanager
def _going_round(model: torch.nn.Module) -> Iterator[None]:
    """Let every convolution in time see the other end of the clip where it would see nothing."""
    hooks = []
    for part in model.modules():
        if isinstance(part, torch.nn.Conv3d):
            hooks.append(part.register_forward_pre_hook(lambda _, seen: _with_neighbours(*seen)))
            hooks.append(part.register_forward_hook(lambda _, __, made: made[:, :, 1:-1]))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _with_neighbours(latents: Tensor) -> Tensor:
    return torch.cat((latents[:, :, -1:], latents, latents[:, :, :1]), 2)


def load_doubler(spec: ModelSpec, row: Upsampler, codec: Codec, settings: Settings) -> Doubler:
    """Load a model's upsampler beside its autoencoder; raise NotDownloaded or LoadError."""
    if not is_here(spec, settings):
        raise not_downloaded(spec)
    folder = folder_of(row.repo, row.revision, settings)
    with told_plainly(spec, folder):
        how = {"dtype": getattr(torch, spec.dtype), "use_safetensors": True}
        pipe = LTXLatentUpsamplePipeline.from_pretrained(str(folder), vae=codec.vae, **how)
    return Doubler(pipe, row, codec, device_of(settings))

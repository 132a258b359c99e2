"""Models from the Hub as files on this machine: which files a row needs, where they lie, whether all are there."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from pipeline.errors import NotDownloaded
from pipeline.hub.remembered import recorded_commit
from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings

INDEX = "model_index.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
# Neither pickle, nor variants such as model.fp16.safetensors, nor what else lies beside them.
WEIGHTS = re.compile(r"(diffusion_pytorch_model|model)(-\d+-of-\d+)?\.safetensors")
SMALL = re.compile(r"[^.]+(\.safetensors\.index)?\.(json|txt|model)")
UPSAMPLER = "latent_upsampler"
# What a row's `weights` hold, so that these folders give their settings only.
IN_ONE_FILE = ("transformer", "vae")


@dataclass(frozen=True)
class Part:
    """What a row needs of one repository: a pipeline's index with all folders that it names, or some, or one file.

    `bare` are folders of which only the settings are needed.
    """

    repo: str
    revision: str
    folders: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    file: str | None = None

    @property
    def is_pipeline(self) -> bool:
        """True where the index names the folders."""
        return not self.folders and self.file is None

    def needs(self, path: str, components: tuple[str, ...]) -> bool:
        """Return whether a file of the repository is needed, given the components that its index names."""
        if self.file is not None:
            return path == self.file
        folder, _, name = path.rpartition("/")
        if not folder:
            return name == INDEX
        weighs = bool(WEIGHTS.fullmatch(name)) and folder not in self.bare
        return folder in (self.folders or components) and (weighs or bool(SMALL.fullmatch(name)))


def parts_of(spec: ModelSpec) -> tuple[Part, ...]:
    """Return what a hosted row needs, nothing for the embedded model."""
    if spec.embedded:
        return ()
    pipeline = Part(spec.repo, spec.revision, bare=IN_ONE_FILE if spec.weights else ())
    weights = [Part(spec.weights[0], "main", file=spec.weights[1])] if spec.weights else []
    upsampler = spec.upsampler
    beside = [Part(upsampler.repo, upsampler.revision, folders=(UPSAMPLER,))] if upsampler else []
    return (pipeline, *weights, *beside)


def components_in(index: str) -> tuple[str, ...]:
    """Return the folders that a model_index.json names; raise ValueError for a file that is none."""
    named = json.loads(index)
    if not isinstance(named, dict):
        raise ValueError(f"{INDEX} holds no names")
    found = (name for name, kind in named.items() if isinstance(kind, list) and len(kind) == 2 and all(kind))
    return tuple(name for name in found if name.isidentifier())


def cache_of(repo: str, settings: Settings) -> Path:
    """Return the folder of a repository in the Hub's cache, whether it is there or not."""
    return settings.hub / f"models--{repo.replace('/', '--')}"


def folder_of(repo: str, revision: str, settings: Settings) -> Path:
    """Return the folder of a repository's files on this machine, without asking the network; raise NotDownloaded.

    A commit is taken as it is; a branch is the commit that was recorded at the first download, or the cache's own.
    """
    cache = cache_of(repo, settings)
    for commit in _commits(repo, revision, settings):
        if (cache / "snapshots" / commit).is_dir():
            return cache / "snapshots" / commit
    raise NotDownloaded(f"{repo} is not on this machine. Download it first.")


def model_folder(spec: ModelSpec, settings: Settings) -> Path:
    """Return the folder that a model is loaded from; raise NotDownloaded where files of it are missing."""
    if spec.embedded:
        return settings.assets / spec.repo
    if not _is_whole(parts_of(spec)[0], settings):
        raise not_downloaded(spec)
    return folder_of(spec.repo, spec.revision, settings)


def weights_file(spec: ModelSpec, settings: Settings) -> Path | None:
    """Return the file of a model's transformer and autoencoder, None where its folder has them; raise NotDownloaded."""
    if spec.weights is None:
        return None
    repo, name = spec.weights
    if not _is_whole(Part(repo, "main", file=name), settings):
        raise not_downloaded(spec)
    return folder_of(repo, "main", settings) / name


def not_downloaded(spec: ModelSpec) -> NotDownloaded:
    """Return the error for a model that is not on this machine."""
    return NotDownloaded(f"{spec.title} is not on this machine. Download it: python -m pipeline download {spec.name}")


def is_here(spec: ModelSpec, settings: Settings) -> bool:
    """Return whether every file that a model needs is on this machine."""
    return all(_is_whole(part, settings) for part in parts_of(spec))


def commit_of(spec: ModelSpec, settings: Settings) -> str:
    """Return the commit whose files a model is loaded from, or a digest of those that ship; raise NotDownloaded."""
    return weights_mark(spec, settings) if spec.embedded else folder_of(spec.repo, spec.revision, settings).name


def weights_mark(spec: ModelSpec, settings: Settings) -> str:
    """Return what is another where a model's weights are others: commits, or a digest of those that ship."""
    if not spec.embedded:
        return " ".join(folder_of(part.repo, part.revision, settings).name for part in parts_of(spec))
    return _digest(tuple(sorted(model_folder(spec, settings).glob("*/*.safetensors"))))


@lru_cache(maxsize=4)
def _digest(files: tuple[Path, ...]) -> str:
    digest = sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _commits(repo: str, revision: str, settings: Settings) -> list[str]:
    if COMMIT.fullmatch(revision):
        return [revision]
    ref = cache_of(repo, settings) / "refs" / revision
    known = [recorded_commit(repo, settings), ref.read_text("utf-8").strip() if ref.is_file() else None]
    return [commit for commit in known if commit and COMMIT.fullmatch(commit)]


def _is_whole(part: Part, settings: Settings) -> bool:
    """Return whether a part's files are all there. Files are put there once they are whole, the largest last."""
    try:
        folder = folder_of(part.repo, part.revision, settings)
        if part.file is not None:
            return (folder / part.file).is_file()
        names = part.folders or components_in((folder / INDEX).read_text("utf-8"))
        return all(_is_component(folder / name, name in part.bare) for name in names)
    except (NotDownloaded, OSError, ValueError):
        return False


def _is_component(folder: Path, bare: bool) -> bool:
    if bare or not (folder / "config.json").is_file():
        # Schedulers and tokenizers have settings only, under names of their own.
        return any(folder.glob("*.json"))
    shards = [index.read_text("utf-8") for index in folder.glob("*.safetensors.index.json")]
    named = {name for index in shards for name in json.loads(index)["weight_map"].values()}
    weights = named or {path.name for path in folder.glob("*.safetensors") if "-of-" not in path.name}
    return bool(weights) and all((folder / name).is_file() for name in weights)

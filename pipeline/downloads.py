"""Models from the Hub as files on this machine: where they lie, and what to do where they are not."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from pipeline.errors import NotDownloaded
from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings


def folder_of(repo: str, revision: str, settings: Settings) -> Path:
    """Return the folder of a repository's files on this machine, without asking the network; raise NotDownloaded."""
    try:
        return Path(snapshot_download(repo, revision=revision, cache_dir=settings.hub, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, FileNotFoundError) as error:
        raise NotDownloaded(f"{repo} is not on this machine. Download it first.") from error


def model_folder(spec: ModelSpec, settings: Settings) -> Path:
    """Return the folder that a model is loaded from; raise NotDownloaded."""
    return settings.assets / spec.repo if spec.embedded else folder_of(spec.repo, spec.revision, settings)

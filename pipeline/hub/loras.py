"""LoRAs by their Hub id: found on this machine, or fetched."""

from huggingface_hub import HfApi
from huggingface_hub.hf_api import ModelInfo, RepoSibling

from pipeline.adapters import SUFFIX, hub_id
from pipeline.errors import BadRequest, DownloadFailed
from pipeline.hub.downloads import cache_of
from pipeline.hub.survey import PATIENCE, SPARE, file_of, free_at, gigabytes, told
from pipeline.hub.transfer import Patience, fetch
from pipeline.settings import Settings

# Those of the largest models at a high rank stay under it; a whole model does not.
MOST_BYTES = 4 * 10**9
LISTED = 5


def find_lora(source: str, settings: Settings) -> str:
    """Return the file of a LoRA that is on this machine by its Hub id, or the id; raise BadRequest for several."""
    repo, name = hub_id(source) or (source, None)
    snapshots = list((cache_of(repo, settings) / "snapshots").glob("*"))
    here = {path.name for folder in snapshots for path in folder.glob(f"*{SUFFIX}")}
    name = name or _only_one(source, sorted(here))
    found = [folder / name for folder in snapshots if name and (folder / name).is_file()]
    return str(max(found, key=lambda path: path.lstat().st_mtime)) if found else source


def fetch_lora(source: str, settings: Settings, patience: Patience = PATIENCE) -> str:
    """Return the file of a LoRA by its Hub id, fetched where it is not here yet; raise DownloadFailed or BadRequest."""
    if (found := find_lora(source, settings)) != source:
        return found
    repo, name = hub_id(source) or (source, None)
    with told(repo, settings):
        info = _ask(repo, settings, patience)
        there = {each.rfilename: each for each in info.siblings or [] if each.rfilename.endswith(SUFFIX)}
        name = name or _only_one(source, sorted(path for path in there if "/" not in path))
        file = file_of(repo, info.sha or "", _chosen(source, there.get(name or "")))
        _refuse_large(source, file.size, settings)
        fetch(file, settings, lambda _: None, lambda: False, patience)
    return str(file.pointer(settings))


def _ask(repo: str, settings: Settings, patience: Patience) -> ModelInfo:
    # Who visits a Space gets what everybody gets, not what its owner does.
    api = HfApi(endpoint=settings.hub_endpoint, token=False if settings.on_space else None)
    info = api.model_info(repo, files_metadata=True, timeout=patience.read_s)
    if settings.on_space and info.gated:
        raise DownloadFailed(f"{repo} is gated, and this Space cannot accept its terms for you. Give a file instead.")
    return info


def _only_one(source: str, names: list[str]) -> str | None:
    """Return the one file that a repository without a named file stands for; raise BadRequest for several."""
    if len(names) > 1:
        listed = ", ".join(f"{source}:{name}" for name in names[:LISTED])
        raise BadRequest("loras", f"{source} holds {len(names)} files. Name one of them: {listed}.")
    return names[0] if names else None


def _chosen(source: str, sibling: RepoSibling | None) -> RepoSibling:
    if sibling is None:
        raise BadRequest("loras", f"{source} holds no such {SUFFIX} file. Look its name up on the Hub.")
    return sibling


def _refuse_large(source: str, size: int, settings: Settings) -> None:
    if size > MOST_BYTES:
        raise BadRequest("loras", f"{source} is {gigabytes(size)} large, too much for a LoRA. Name another file.")
    if size + SPARE > (free := free_at(settings.hub)):
        raise DownloadFailed(
            f"{source} needs {gigabytes(size)}, and the disk of {settings.hub} has {gigabytes(free)} free. Make room "
            f"for it and {gigabytes(SPARE)} besides."
        )

"""Asks the Hub what a model would download, and downloads it; every failure says what happened and what to do."""

import errno
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from filelock import FileLock, Timeout
from huggingface_hub import HfApi, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils._headers import build_hf_headers

from pipeline.errors import DownloadFailed
from pipeline.hub.downloads import COMMIT, INDEX, Part, cache_of, components_in, parts_of
from pipeline.hub.remembered import record_commit, recorded_commit
from pipeline.hub.transfer import HubFile, IsStopped, Patience, fetch
from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings

OnProgress = Callable[[int, int], None]
PATIENCE = Patience()
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Left free beside the model, for the runs.
SPARE = 10**9


@dataclass(frozen=True)
class Survey:
    """What a model needs of the Hub: its files, the smallest first, and the disk. All sizes in bytes."""

    files: tuple[HubFile, ...]
    here: int
    free: int
    revision: str

    @property
    def total(self) -> int:
        """The size of all files; what lies in two places is fetched once."""
        return sum(file.size for file in _each_once(self.files))

    @property
    def to_fetch(self) -> int:
        """What is not on this machine yet."""
        return self.total - self.here


def survey(spec: ModelSpec, settings: Settings, patience: Patience = PATIENCE) -> Survey:
    """Ask the Hub for a model's files, one call for each repository; raise DownloadFailed, also where no room is."""
    files: list[HubFile] = []
    for part in parts_of(spec):
        with told(part.repo, settings):
            files += _files_of(part, settings, patience)
    files.sort(key=lambda file: file.size)
    here = sum(file.bytes_here(settings) for file in _each_once(files))
    found = Survey(tuple(files), here, free_at(settings.hub), _commit(files, spec.repo))
    _refuse_without_room(spec, found, settings)
    return found


def download(
    spec: ModelSpec, settings: Settings, on_progress: OnProgress, stopped: IsStopped, patience: Patience = PATIENCE
) -> Survey:
    """Fetch what is missing of a model and tell the bytes (done, all); raise DownloadFailed or Cancelled.

    Files go where the Hub's own library looks for them. What was fetched is kept, and taken up the next time.
    """
    found = survey(spec, settings, patience)
    done = found.here
    on_progress(done, found.total)

    def on_bytes(count: int) -> None:
        nonlocal done
        done += count
        on_progress(min(done, found.total), found.total)

    with _alone(spec, settings):
        for part in parts_of(spec):
            _record(part, _commit(found.files, part.repo), settings)
        for file in found.files:
            with told(file.repo, settings):
                fetch(file, settings, on_bytes, stopped, patience)
    return found


def gigabytes(size: int) -> str:
    """Return a size in bytes as people say it."""
    return f"{size / 1e9:.1f} GB" if size >= 10**8 else f"{size / 1e6:.1f} MB"


def _files_of(part: Part, settings: Settings, patience: Patience) -> Iterator[HubFile]:
    revision = part.revision
    if not COMMIT.fullmatch(revision):
        revision = recorded_commit(part.repo, settings) or revision
    api = HfApi(endpoint=settings.hub_endpoint)
    info = api.model_info(part.repo, revision=revision, files_metadata=True, timeout=patience.read_s)
    if not (info.siblings and info.sha and COMMIT.fullmatch(info.sha)):
        raise DownloadFailed(f"{part.repo} is empty on the Hub. Choose another model.")
    components = _components(part, info.sha, settings, patience) if part.is_pipeline else ()
    wanted = [each for each in info.siblings if part.needs(each.rfilename, components)]
    if not wanted:
        raise DownloadFailed(f"{part.repo} no longer has the files that its row names. Choose another model.")
    yield from (file_of(part.repo, info.sha, sibling) for sibling in wanted)


def file_of(repo: str, commit: str, sibling: RepoSibling) -> HubFile:
    """Return a file as it is to be fetched; raise DownloadFailed where the Hub does not say what it is."""
    large = sibling.lfs
    digest, size = (large.sha256, large.size) if large else (sibling.blob_id, sibling.size)
    if size is None or digest is None or not DIGEST.fullmatch(digest):
        raise DownloadFailed(f"{repo} does not tell what {sibling.rfilename} is. Try again later.")
    return HubFile(repo, commit, sibling.rfilename, size, digest)


def _components(part: Part, commit: str, settings: Settings, patience: Patience) -> tuple[str, ...]:
    url = hf_hub_url(part.repo, INDEX, revision=commit, endpoint=settings.hub_endpoint)
    response = get_session().get(url, headers=build_hf_headers(), timeout=patience.timeout)
    hf_raise_for_status(response)
    try:
        return components_in(response.text)
    except ValueError as error:
        raise DownloadFailed(f"The {INDEX} of {part.repo} cannot be read. Choose another model.") from error


def _each_once(files: Sequence[HubFile]) -> Iterable[HubFile]:
    return {file.digest: file for file in files}.values()


def _commit(files: Sequence[HubFile], repo: str) -> str:
    return next((file.commit for file in files if file.repo == repo), "")


def _record(part: Part, commit: str, settings: Settings) -> None:
    """Keep what a branch stood for: here, and for other programs in the cache, unless that knows another commit."""
    if COMMIT.fullmatch(part.revision):
        return
    record_commit(part.repo, commit, settings)
    ref = cache_of(part.repo, settings) / "refs" / part.revision
    if not ref.exists():
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit, encoding="utf-8")


def free_at(folder: Path) -> int:
    """Return the free bytes of the disk of a folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def _refuse_without_room(spec: ModelSpec, found: Survey, settings: Settings) -> None:
    if found.to_fetch and found.to_fetch + SPARE > found.free:
        raise DownloadFailed(
            f"{spec.title} needs {gigabytes(found.to_fetch)} more, and the disk of {settings.hub} has "
            f"{gigabytes(found.free)} free. Make room for it and {gigabytes(SPARE)} besides, or set HF_HOME to a "
            "folder on a larger disk."
        )


@contextmanager
def _alone(spec: ModelSpec, settings: Settings) -> Iterator[None]:
    """Let one process at a time write a model's files; raise DownloadFailed for the other."""
    with told(spec.repo, settings):
        settings.hub.mkdir(parents=True, exist_ok=True)
        lock = FileLock(settings.hub / f".onetake-{spec.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise DownloadFailed(f"{spec.title} is being downloaded already. Wait until that is done.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def told(repo: str, settings: Settings) -> Iterator[None]:
    """Turn what can go wrong on the way to the Hub and onto the disk into a DownloadFailed in plain words."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise DownloadFailed("HF_HUB_OFFLINE is set, so nothing is fetched. Unset it, then try again.") from error
    except HfHubHTTPError as error:
        raise DownloadFailed(_refused(error, repo, settings.hub_endpoint)) from error
    except httpx2.HTTPError as error:
        raise DownloadFailed(
            f"{settings.hub_endpoint} cannot be reached, or breaks off. Look at the network, then download it again: "
            "what was fetched is kept."
        ) from error
    except OSError as error:
        raise DownloadFailed(_unwritten(error, settings.hub)) from error


def _refused(error: HfHubHTTPError, repo: str, endpoint: str) -> str:
    status, page = error.response.status_code, f"{endpoint}/{repo}"
    log_in = "then log in with `hf auth login` or set HF_TOKEN, and try again."
    if isinstance(error, GatedRepoError) or status == httpx2.codes.FORBIDDEN:
        return f"{repo} is gated. Accept the licence at {page}, {log_in}"
    if isinstance(error, RevisionNotFoundError):
        return f"The commit of {repo} that was used here is gone from the Hub. Remove it from .revisions.json."
    if isinstance(error, RemoteEntryNotFoundError):
        return f"A file of {repo} is not on the Hub any more. Look at {page}, or choose another model."
    if isinstance(error, RepositoryNotFoundError) or status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.NOT_FOUND):
        return f"{repo} is not on the Hub, or not for everybody. Look at {page}: accept what it asks, {log_in}"
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        return f"{endpoint} asks to come more slowly (429). Try again in some minutes; who logs in waits less."
    return f"{endpoint} answers with an error ({status}). Try again in some minutes: what was fetched is kept."


def _unwritten(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {folder} is full. Make room, then download it again: what was fetched is kept."
    return f"{folder} cannot be written: {error.strerror or error}. Set HF_HOME to another folder."

"""Puts the app on the Hub as a Space, or the embedded model as a model: `python -m pipeline.publish space user/name`.

With --dry-run it lists what would go and checks the front matter, and asks nobody.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from pipeline.errors import BadRequest, OnetakeError, PublishFailed
from pipeline.hub.front_matter import model_faults, space_faults
from pipeline.settings import ASSETS, ROOT


@dataclass(frozen=True)
class Parcel:
    """What goes to the Hub: a folder, which of its files, and how its front matter is checked."""

    kind: Literal["space", "model"]
    folder: Path
    takes: tuple[str, ...]
    faults: Callable[[Path], list[str]]

    def files(self) -> Iterator[Path]:
        """Yield the files that go, in order."""
        for path in sorted(path for top in self.takes for path in self._below(self.folder / top)):
            inside = path.relative_to(self.folder)
            if not any(part.startswith((".", "__pycache__")) for part in inside.parts):
                yield inside

    @staticmethod
    def _below(top: Path) -> Iterator[Path]:
        return (path for path in (top, *top.rglob("*")) if path.is_file())


SPACE = Parcel(
    "space", ROOT, ("app.py", "requirements.txt", "README.md", "LICENSE", "pipeline", "assets"), space_faults
)
MODEL = Parcel("model", ASSETS / "tabletop", (".",), model_faults)
PARCELS = {parcel.kind: parcel for parcel in (SPACE, MODEL)}


def main(arguments: list[str] | None = None) -> int:
    """Publish, or list what would be published, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.publish", description=__doc__)
    parser.add_argument("kind", choices=tuple(PARCELS))
    parser.add_argument("repo", help="where to, such as user/name")
    parser.add_argument("--dry-run", action="store_true", help="list what would go, and send nothing")
    options = parser.parse_args(arguments)
    try:
        check(PARCELS[options.kind], options.repo)
        print("\n".join(listing(PARCELS[options.kind], options.repo)))
        if not options.dry_run:
            print(publish(PARCELS[options.kind], options.repo, HfApi()))
    except OnetakeError as error:
        print(f"onetake: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadRequest) else 1
    return 0


def check(parcel: Parcel, repo: str) -> None:
    """Raise BadRequest for a name that is none, or a front matter that the Hub would refuse."""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", repo, re.ASCII) is None:
        raise BadRequest("repo", f"{repo!r} is no name on the Hub. Write it as user/name.")
    if faults := parcel.faults(parcel.folder):
        raise BadRequest("README.md", f"The front matter of README.md is not in order: {'; '.join(faults)}. Mend it.")


def listing(parcel: Parcel, repo: str) -> Iterator[str]:
    """Yield a line for each file that goes, and one for all of them."""
    sizes = {path: (parcel.folder / path).stat().st_size for path in parcel.files()}
    for path, size in sizes.items():
        yield f"{size / 1e6:9.3f} MB  {path.as_posix()}"
    yield f"{sum(sizes.values()) / 1e6:9.3f} MB, {len(sizes)} files, to the {parcel.kind} {repo}; front matter in order"


def publish(parcel: Parcel, repo: str, api: HfApi) -> str:
    """Make the repository where there is none, send all files in one commit, and return its address.

    Raise PublishFailed. A new Space is public as soon as it is there, and starts without any secret.
    """
    sdk = "gradio" if parcel.kind == "space" else None
    try:
        made = api.create_repo(repo, repo_type=parcel.kind, space_sdk=sdk, exist_ok=True)
        api.upload_folder(
            repo_id=repo, repo_type=parcel.kind, folder_path=parcel.folder, commit_message="Onetake",
            allow_patterns=[path.as_posix() for path in parcel.files()],
        )  # fmt: skip
    except Exception as error:  # the transport below the Hub's library has errors of its own
        raise PublishFailed(f"Nothing was published to {repo}: {_why(error)}") from error
    return str(made)


def _why(error: Exception) -> str:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status in (401, 403) or isinstance(error, LocalTokenNotFoundError):
        return "the Hub does not know you as its owner. Log in with `hf auth login`, with a token that may write."
    if status is None:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        return f"{told}. Try again when the Hub can be reached."
    return f"the Hub answered {status}. Try again later."


if __name__ == "__main__":
    sys.exit(main())

"""What the app remembers of hosted models: the commit of each repository, and the licences that were accepted."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings

REVISIONS, LICENCES = ".revisions.json", ".licences.json"


def recorded_commit(repo: str, settings: Settings) -> str | None:
    """Return the commit that a repository's first download resolved `main` to."""
    return _read(settings.home / REVISIONS).get(repo)


def record_commit(repo: str, commit: str, settings: Settings) -> None:
    """Keep a repository's commit, so that every later download takes the same files."""
    _add(settings.home / REVISIONS, repo, commit)


def licence_accepted(spec: ModelSpec, settings: Settings) -> bool:
    """Return whether somebody has accepted this model's licence here, as it is named in its row."""
    return bool(_read(settings.home / LICENCES).get(spec.name, {}).get("url") == spec.licence_url)


def accept_licence(spec: ModelSpec, settings: Settings) -> None:
    """Keep that a model's licence was accepted, and when."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    _add(settings.home / LICENCES, spec.name, {"licence": spec.licence, "url": spec.licence_url, "accepted": when})


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _add(path: Path, key: str, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(_read(path) | {key: value}, indent=1), encoding="utf-8")
    partial.replace(path)

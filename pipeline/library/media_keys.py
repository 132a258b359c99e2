"""The keys in the addresses of private clips: they follow from the run's id and a secret, and are kept nowhere."""

import hmac
import os
import secrets
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

SECRET_FILE = ".media-secret"  # noqa: S105, its name
SECRET_BYTES = 32
KEY_LENGTH = 32


def media_key(home: Path, run_id: str) -> str:
    """Return the key of a run's files."""
    return hmac.new(_secret(home), run_id.encode(), sha256).hexdigest()[:KEY_LENGTH]


def opens(home: Path, run_id: str, key: str) -> bool:
    """Return whether a key is that of a run's files."""
    return hmac.compare_digest(media_key(home, run_id).encode(), key.encode())


@lru_cache
def _secret(home: Path) -> bytes:
    """Read the secret of a home, drawn when it is first needed; only its user may read it."""
    path = home / SECRET_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        _draw(path)
    return path.read_bytes()


def _draw(path: Path) -> None:
    # Written aside: two processes may begin at once, and neither may read half a secret.
    aside = path.with_name(f"{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(SECRET_BYTES))
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        pass
    except OSError:
        aside.replace(path)
    aside.unlink(missing_ok=True)

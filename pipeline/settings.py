"""What the surroundings decide: the only module that reads the environment."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.errors import BadRequest

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
# The app's, as pyproject.toml has it: a Space installs no package that could be asked.
VERSION = "0.1.0"
# The policies of pipeline/memory.py, which stands above this module.
MEMORY = ("whole", "fp8", "int8", "group", "sequential")
# As long as `secrets.token_urlsafe(16)`, short of two characters.
LEAST_KEY = 20
SPACE_QUOTA_GB = "20"
HUB = Path("~/.cache/huggingface/hub").expanduser()
HUB_ENDPOINT = "https://huggingface.co"

# Defaults for third-party libraries. A user who sets one of these keeps their own value.
LIBRARY_DEFAULTS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}


def prepare_environment() -> None:
    """Set the defaults of third-party libraries; call it before they are imported."""
    for name, value in LIBRARY_DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Beside a torch that it was not built for, xformers prints six lines when it is imported.
    logging.getLogger("xformers").setLevel(logging.ERROR)


def serve_files_from(folder: Path) -> None:
    """Let Gradio keep the files it serves in this folder; call it before a component is built."""
    os.environ.setdefault("GRADIO_TEMP_DIR", str(folder))


@dataclass(frozen=True)
class Settings:
    """Where the app listens, keeps its runs and computes.

    `model` is the one to begin with, where somebody named it; `fetched_at_start` are those to download before that.
    `quota` is how many bytes runs and what belongs to them may take, None for what the disk has.
    `space` is another Onetake that runs its plans, by its address or as user/name; `key` is the secret that both know.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    home: Path = ROOT / "runs"
    assets: Path = ASSETS
    hub: Path = HUB
    hub_endpoint: str = HUB_ENDPOINT
    model: str | None = None
    fetched_at_start: tuple[str, ...] = ()
    device: str = "cpu"
    memory: str | None = None
    compile: bool = False
    on_zerogpu: bool = False
    on_space: bool = False
    max_queue: int = 40
    quota: int | None = None
    space: str = ""
    key: str = field(default="", repr=False)

    @property
    def at_home(self) -> bool:
        """Whether only this machine reaches the page, so that whoever does is its user."""
        return self.host in ("127.0.0.1", "localhost", "::1") and not self.on_space

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment once; raise BadRequest when a value makes no sense."""
        env = os.environ if env is None else env
        on_space = "SPACE_ID" in env
        on_zerogpu = env.get("SPACES_ZERO_GPU", "").lower() in ("1", "true", "t")
        return cls(
            host=env.get("HOST") or ("0.0.0.0" if on_space else cls.host),  # noqa: S104, a Space is reached from outside
            port=_whole(env, "PORT", cls.port, most=65535),
            home=Path(env.get("ONETAKE_HOME") or cls.home).expanduser().absolute(),
            hub=_hub(env),
            hub_endpoint=(env.get("HF_ENDPOINT") or HUB_ENDPOINT).rstrip("/"),
            model=env.get("ONETAKE_MODEL") or None,
            fetched_at_start=tuple(env.get("ONETAKE_MODELS", "").replace(",", " ").split()),
            device=(device := _device(env, on_zerogpu)),
            memory=_memory(env, device),
            compile=_compile(env, device, on_zerogpu),
            on_zerogpu=on_zerogpu,
            on_space=on_space,
            max_queue=_whole(env, "ONETAKE_MAX_QUEUE", cls.max_queue, most=1000),
            quota=_quota(env, on_space),
            key=_key(env),
        ).with_space(env.get("ONETAKE_SPACE") or "")

    def with_space(self, space: str) -> "Settings":
        """Return the settings with another Onetake to run the plans, none for ""; raise BadRequest without a key."""
        space = space.rstrip("/")
        if not space:
            return replace(self, space="")
        if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?|[\w.-]+/[\w.-]+", space):
            raise BadRequest(
                "space", "The Space that runs the plans is named by user/name, or by its address with https."
            )
        if self.on_zerogpu:
            raise BadRequest("space", "A ZeroGPU Space runs its plans itself. Leave ONETAKE_SPACE out.")
        if not self.key:
            raise BadRequest(
                "key", f"{space} runs plans of who has its key. Set ONETAKE_KEY to the same secret there and here."
            )
        return replace(self, space=space)


def _whole(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise BadRequest(name, f"{name} is {text!r}: set it to a whole number from 1 to {most}.")
    return int(text)


def _quota(env: Mapping[str, str], on_space: bool) -> int | None:
    # At home the disk is the user's own. A Space has 50 GB for everything, models included, and strangers fill it.
    text = env.get("ONETAKE_QUOTA_GB") or (SPACE_QUOTA_GB if on_space else "0")
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text):
        raise BadRequest(
            "ONETAKE_QUOTA_GB", f"ONETAKE_QUOTA_GB is {text!r}: set it to a number of gigabytes, or 0 for no limit."
        )
    return round(float(text) * 10**9) or None


def _key(env: Mapping[str, str]) -> str:
    key = env.get("ONETAKE_KEY") or ""
    if key and (len(key) < LEAST_KEY or not key.isascii()):
        # What was given is not said: it may be half of a secret.
        raise BadRequest("ONETAKE_KEY", f"ONETAKE_KEY is too easy. Set it to {LEAST_KEY} ASCII characters or more.")
    return key


def _hub(env: Mapping[str, str]) -> Path:
    """Return where the Hub's own library keeps its files, by its own rules."""
    home = Path(env.get("HF_HOME") or "~/.cache/huggingface")
    return Path(env.get("HF_HUB_CACHE") or home / "hub").expanduser().absolute()


def _memory(env: Mapping[str, str], device: str) -> str | None:
    policy = env.get("ONETAKE_MEMORY") or None
    if policy not in (None, *MEMORY):
        raise BadRequest("ONETAKE_MEMORY", f"ONETAKE_MEMORY is {policy!r}: set it to one of {', '.join(MEMORY)}.")
    if device == "cpu" and policy not in (None, "whole"):
        raise BadRequest("ONETAKE_MEMORY", f"ONETAKE_MEMORY is {policy}, which is for a card: leave it out here.")
    return policy


def _compile(env: Mapping[str, str], device: str, on_zerogpu: bool) -> bool:
    value = env.get("ONETAKE_COMPILE") or "0"
    if value not in ("0", "1"):
        raise BadRequest("ONETAKE_COMPILE", f"ONETAKE_COMPILE is {value!r}: set it to 0 or 1.")
    if value == "1" and (device == "cpu" or on_zerogpu):
        raise BadRequest("ONETAKE_COMPILE", "ONETAKE_COMPILE is 1, which needs a card of one's own: leave it out here.")
    return value == "1"


def _device(env: Mapping[str, str], on_zerogpu: bool) -> str:
    # A card shows as a device file; whether this torch can use it is asked when a model is loaded.
    has_card = on_zerogpu or Path("/dev/nvidiactl").exists()
    device = env.get("ONETAKE_DEVICE") or ("cuda" if has_card else "cpu")
    if device not in ("cpu", "cuda"):
        raise BadRequest("ONETAKE_DEVICE", f"ONETAKE_DEVICE is {device!r}: set it to cpu or cuda.")
    return device

"""The way to another Onetake: it is woken, shown the key, and whatever goes wrong on the way is said in plain words."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from gradio_client import Client  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError, AuthenticationError  # type: ignore[import-untyped]
from huggingface_hub.errors import HfHubHTTPError

from pipeline.errors import ConnectionLost, NoDevice, OnetakeError, RunFailed, refuse_stopped
from pipeline.events import IsCancelled, Listener, Waiting
from pipeline.settings import Settings

# By this header one Onetake shows the other the secret that both were given.
KEY_HEADER = "x-onetake-key"
ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+|https://[\w-]+\.hf\.space")
ASK_AGAIN_S = 2.0
# Gradio sends a sign of life every 15 seconds.
SILENCE_S = 60.0


@contextmanager
def reached(settings: Settings, patience_s: float, on_event: Listener, cancelled: IsCancelled) -> Iterator[Client]:
    """Give a client of the Space that the settings name, once it is awake; raise NoDevice where it does not wake up."""
    with _plainly_absent(settings.space):
        client = _awake(settings, patience_s, on_event, cancelled)
    try:
        with plainly_lost(settings.space):
            yield client
    finally:
        # It waits for a sign of life to end, which nobody else should.
        threading.Thread(target=client.close, name="farewell", daemon=True).start()


@contextmanager
def plainly_lost(space: str) -> Iterator[None]:
    """Say in plain words what goes wrong once there was an answer."""
    try:
        yield
    except OnetakeError:
        raise
    except AppError as error:
        raise RunFailed(f"{space} broke off: {_said(error)}. Look into its log, and try again.") from error
    except Exception as error:
        raise ConnectionLost(
            f"{space} was lost on the way: {_said(error)}. See whether it runs, and try again."
        ) from error


@contextmanager
def _plainly_absent(space: str) -> Iterator[None]:
    try:
        yield
    except OnetakeError:
        raise
    except (AuthenticationError, HfHubHTTPError) as error:
        what = "Is the name right? For a private Space, log in with `hf auth login`, or set HF_TOKEN"
        raise NoDevice(f"{space} does not let you in. {what}.") from error
    except Exception as error:
        raise NoDevice(f"{space} does not answer: {_said(error)}. See whether it runs, and try again.") from error


def _awake(settings: Settings, patience_s: float, on_event: Listener, cancelled: IsCancelled) -> Client:
    until = time.monotonic() + patience_s
    while True:
        refuse_stopped(cancelled)
        try:
            return _connect(settings)
        except (ValueError, httpx.TimeoutException) as error:
            # A Space that wakes up answers, but not with an app.
            if (isinstance(error, ValueError) and "Could not" not in str(error)) or time.monotonic() > until:
                raise
        on_event(Waiting(f"{settings.space} to wake up"))
        time.sleep(ASK_AGAIN_S)


def _connect(settings: Settings) -> Client:
    # None stands for the token that the Hub's own library finds, False for none: it is nobody's business but the Hub's.
    token: Any = None if ON_THE_HUB.fullmatch(settings.space) else False
    return Client(
        settings.space,
        token=token,
        verbose=False,
        headers={KEY_HEADER: settings.key},
        download_files=False,
        httpx_kwargs={"timeout": SILENCE_S},
        analytics_enabled=False,
    )


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0].rstrip(". ")

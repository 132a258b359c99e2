"""What open pages show: a word that a browser keeps says what it is, and one that the app keeps what it should be."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipeline.errors import OnetakeError

PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# Whatever a hand does goes without the stream of Gradio's queue, which may be lost and not know it.
AT_ONCE = PAGE_ONLY | {"queue": False}
# Watching a job takes no place in a queue, because the jobs have their own.
FOLLOWING = PAGE_ONLY | {"concurrency_limit": None}
# On ZeroGPU a job runs on the quota of who asks for it, whom only Gradio's queue lets through, and who has to be there
# until a GPU is lent.
ON_ZEROGPU = FOLLOWING | {"trigger_mode": "multiple"}
# What a page shows of no job, but of a sheet that is named behind it.
ON_SHEET = "sheet"


@dataclass(frozen=True)
class Seen:
    """What a page shows of a job: which version, None for its outcome, and since when.

    `at` is in seconds since 1970, 0 where no stream brought it.
    """

    job: str
    version: int | None
    at: float

    def __str__(self) -> str:
        """Return the word."""
        return f"{self.job} {'outcome' if self.version is None else self.version} {self.at:.3f}"

    @classmethod
    def read(cls, word: str | None) -> "Seen | None":
        """Return what a word says, None for any other."""
        with suppress(ValueError):
            job, version, at = (word or "").split()
            return cls(job, None if version == "outcome" else int(version), float(at))
        return None


@dataclass(frozen=True)
class Refused:
    """What a button was refused and why: it is said for as long as the same is asked for.

    The contract reads it, so that whichever of the two answers last, the page says the same.
    """

    asked: str
    why: str

    def __str__(self) -> str:
        """Return the word."""
        return f"{self.asked} {self.why}"

    @classmethod
    def of(cls, asked: Sequence[Any], error: OnetakeError) -> "Refused":
        """Return what is kept of a refusal."""
        return cls(_print_of(asked), str(error))

    @classmethod
    def read(cls, word: str | None) -> "Refused":
        """Return what a word says."""
        asked, _, why = (word or "").partition(" ")
        return cls(asked, why)

    def still(self, asked: Sequence[Any]) -> bool:
        """Return whether the same is asked for again."""
        return self.asked == _print_of(asked)


class Pages:
    """What should be on the stages of the pages that are followed, by their sessions: a job that was called, or not.

    Of one visitor's pages only one is followed in a stream, the one that came last: browsers have six connections to
    an address, of which every open page holds one already, and none would be left for a click.
    """

    def __init__(self) -> None:
        self._wanted: dict[str, str] = {}
        self._streams: dict[str, str] = {}
        self._opened: set[str] = set()

    def wanted(self, session: str | None) -> str | None:
        """Return the word that a page was told last, None where nobody follows for it."""
        return self._wanted.get(session or "")

    def begin(self, owner: str, session: str | None, word: str) -> None:
        """Keep that a visitor's page is followed from now on, and no other one."""
        self._wanted.pop(self._streams.get(owner, ""), None)
        self._streams[owner] = session or ""
        self._wanted[session or ""] = word

    def call(self, session: str | None, word: str) -> None:
        """Want something else on a page that is followed; nothing for what no job is."""
        self._opened.discard(session or "")
        if session in self._wanted:
            self._wanted[session] = word

    def open(self, session: str | None) -> None:
        """Want a run on a page, in place of a job or a sheet."""
        self.call(session, "")
        self._opened.add(session or "")

    def opened(self, session: str | None) -> bool:
        """Return whether a run was opened on a page last: what is told late of anything else has no place there."""
        return (session or "") in self._opened

    def forget(self, session: str | None) -> None:
        """Keep nothing of a page that was closed."""
        self._opened.discard(session or "")

    def end(self, owner: str, session: str | None, word: str | None) -> None:
        """Keep that a page is followed no longer, unless it was called elsewhere by then."""
        if word is None or self.wanted(session) == word:
            self._wanted.pop(session or "", None)
            if self._streams.get(owner) == session:
                self._streams.pop(owner, None)


def called(job_id: str) -> str:
    """Return a word that has a job followed: another one each time, or nothing would change."""
    return f"{job_id} {time.time_ns()}"


def named(word: str) -> str:
    """Return the job that a word calls."""
    return word.partition(" ")[0]


def _print_of(asked: Sequence[Any]) -> str:
    return sha256(repr(asked).encode()).hexdigest()

"""Who somebody is to the app: whoever knows a key that cannot be guessed. Browsers keep it, the app its hash."""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from pipeline.errors import BadRequest

# What the command line makes, and what was made before there were visitors, belongs to the machine.
MACHINE = ""
LEAST_KEY, MOST_KEY = 20, 200

# How a run comes from a draft, or from one that was stopped: by the steps that it had left.
FINISHED = "finished from"


@dataclass(frozen=True)
class Parent:
    """A run that another one was made from: its id, and how, such as `restyled from`."""

    run: str
    how: str


@dataclass(frozen=True)
class Cell:
    """Where a draft stands beside others that are chosen from: on which sheet, and in which place."""

    sheet: str
    place: int


@dataclass(frozen=True)
class Origin:
    """Where a run comes from: whose it is, what it was made from, and the job that makes it, whose id it takes.

    `cell` is where it is shown as one of several, None where it stands alone.
    """

    owner: str = MACHINE
    parents: tuple[Parent, ...] = ()
    job: str = ""
    cell: Cell | None = None


OF_THE_MACHINE = Origin()


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks at runs.

    `at_home` is where whoever reaches the page is the machine's own user; `all` is for the machine itself.
    """

    owner: str
    at_home: bool = False
    all: bool = False

    def owns(self, owner: str) -> bool:
        """Return whether what belongs to an owner is theirs."""
        return self.all or owner == (self.owner or None) or (self.at_home and owner == MACHINE)


EVERYTHING = Viewer(MACHINE, all=True)


def new_key() -> str:
    """Draw the key of a visitor who has none yet."""
    return secrets.token_urlsafe(24)


def owner_of(key: str) -> str:
    """Return the name under which the app keeps what belongs to a key; raise BadRequest where it could be guessed."""
    if not (key.isascii() and LEAST_KEY <= len(key) <= MOST_KEY):
        what = f"The visitor's key has to be {LEAST_KEY} to {MOST_KEY} ASCII characters that nobody can guess."
        raise BadRequest("visitor", f"{what} Leave it out, and you are given one.")
    return sha256(key.encode()).hexdigest()[:32]

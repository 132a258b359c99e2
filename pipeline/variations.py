"""Many takes from one request: prompts with alternatives, times seeds, as drafts of which some are finished."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from textwrap import shorten
from typing import Any

from pipeline.errors import BadRequest, CannotDo
from pipeline.halfway import Stopped
from pipeline.models import get_model
from pipeline.plan import DRAWN_SEEDS, Dice, Plan, makings_of
from pipeline.planning.estimate import default_speed, timed
from pipeline.planning.speed import Speed
from pipeline.request import Request, parse_request

# As many as are looked at side by side.
MOST_DRAFTS = 16
# Of all steps: eight such drafts and the rest of one are 30 % of the steps of eight takes, and every draft is decoded
# too (make bench). With some steps more a draft hardly shows more, for schedules stay near to noise alone for long.
DRAFT_SHARE = 0.2
QUOTED = 60
EXAMPLE = "Write alternatives as {red|blue}"


def variations(asked: Mapping[str, Any], seeds: Sequence[int]) -> tuple[Request, ...]:
    """Return a request for each prompt with each seed; raise BadRequest, for too many too.

    The prompt of what is asked holds one or several, one a line, with alternatives: `a {red|blue} ball`.
    """
    field = asked.get("prompt", "")
    # Whether there have to be words, the request says.
    lines = list(map(_parts, _lines(field))) if isinstance(field, str) else []
    count = sum(prod(map(len, line)) for line in lines) or 1
    if count * len(seeds) > MOST_DRAFTS:
        what = f"{count} prompts × {len(seeds)} seeds are {count * len(seeds)} takes, and {MOST_DRAFTS} is the most"
        raise BadRequest("prompt", f"{what}. Leave out some prompts, alternatives or seeds.")
    prompts = ["".join(words) for line in lines for words in product(*line)] or [field]
    for prompt in prompts:
        if prompts.count(prompt) > 1:
            raise BadRequest("prompt", f"“{_brief(prompt)}” comes twice. Leave one out, or ask for more seeds.")
    return tuple(parse_request({**asked, "prompt": prompt, "seed": seed}) for prompt in prompts for seed in seeds)


def draw_seeds(given: Sequence[int] = (), count: int | None = None, rng: Dice = secrets) -> tuple[int, ...]:
    """Return the seeds that were given, and others that are drawn until there are so many; raise BadRequest."""
    if len(set(given)) < len(given):
        raise BadRequest("seed", "A seed was given twice. Leave one out.")
    least = max(len(given), 1)
    wanted = least if count is None else count
    if not least <= wanted <= MOST_DRAFTS:
        raise BadRequest("seeds", f"The number of seeds is {wanted}: choose from {least} to {MOST_DRAFTS}.")
    seeds = list(given)
    while len(seeds) < wanted:
        if (drawn := rng.randbelow(DRAWN_SEEDS)) not in seeds:
            seeds.append(drawn)
    return tuple(seeds)


def as_draft(plan: Plan, speed: Speed | None = None) -> Plan:
    """Return the plan of a draft, which stops after a share of the steps and shows what the take would become."""
    if len(plan.segments) > 1:
        # Each part begins with what was finished of the one before.
        if plan.task == "storyboard":
            raise CannotDo("cards", "A storyboard of several shots has no draft. Make it whole.")
        longest = (get_model(plan.model).max_frames - 1) / plan.fps
        raise CannotDo("seconds", f"A take of parts has no draft. Make it whole, or ask for {longest:g} s at most.")
    total = steps_of(plan)
    if total == 1:
        raise CannotDo("steps", "A take of one step has no draft. Make it whole, or with more steps.")
    last = max(round(DRAFT_SHARE * total), 1)
    return _timed(replace(plan, stop_after=last), speed)


def finishing(plan: Plan, stopped: Stopped, speed: Speed | None = None) -> Plan:
    """Return the plan that does the steps which a draft, or a take that was stopped, has left."""
    return _timed(replace(plan, stop_after=None, resumes=stopped), speed)


def steps_of(plan: Plan) -> int:
    """Return how many steps a take has, those of both passes counted."""
    makings = makings_of(replace(plan.whole, stop_after=None), get_model(plan.model))
    return sum(len(each.levels) for made in makings for each in made.passes)


def _timed(plan: Plan, speed: Speed | None) -> Plan:
    """Return a plan with what its own steps cost."""
    spec = get_model(plan.model)
    return replace(plan, estimate=timed(plan.estimate, spec, makings_of(plan, spec), speed or default_speed(spec)))


def _lines(field: str) -> list[str]:
    return [line.strip() for line in field.splitlines() if line.strip()]


def _parts(line: str) -> list[list[str]]:
    """Return a prompt as parts in a row, each as its alternatives; plain text has one."""
    parts, at = [], 0
    for start, end in _groups(line):
        parts += [[_plain(line[at:start], line)], _alternatives(line[start:end], line)]
        at = end
    return [*parts, [_plain(line[at:], line)]]


def _groups(line: str) -> Iterator[tuple[int, int]]:
    """Yield where braces begin and end that are in no others."""
    depth = start = 0
    for place, character in enumerate(line):
        if character == "{":
            start, depth = start if depth else place, depth + 1
        elif character == "}" and depth:
            depth -= 1
            if not depth:
                yield start, place + 1


def _brief(words: str) -> str:
    return shorten(words, QUOTED, placeholder=" …")


def _plain(text: str, line: str) -> str:
    # A brace or a bar alone is text, both together were meant otherwise.
    if "|" in text and ("{" in text or "}" in text):
        raise BadRequest("prompt", f"A brace in “{_brief(line)}” has no partner. {EXAMPLE}.")
    return text


def _alternatives(group: str, line: str) -> list[str]:
    inside = group[1:-1]
    if "|" not in inside:
        return [group]
    if "{" in inside:
        raise BadRequest("prompt", f"There are braces within braces in “{_brief(line)}”. {EXAMPLE}, side by side.")
    words = [each.strip() for each in inside.split("|")]
    if "" in words:
        raise BadRequest(
            "prompt", f"An alternative in “{_brief(line)}” is empty. {EXAMPLE}, with words on both sides of a bar."
        )
    return words

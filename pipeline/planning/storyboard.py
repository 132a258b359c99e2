"""How cards along a timeline become one take: spacing is timing; close cards cut, the model leads over longer gaps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import BadRequest
from pipeline.frames import context_frames, frames_for, seconds_of
from pipeline.given.footage import Excerpt
from pipeline.given.media import Picture
from pipeline.model_spec import MOST_SECONDS, ModelSpec
from pipeline.planning.extending import overlap_of
from pipeline.planning.given_clip import Clip, given_clip, silent
from pipeline.planning.lengths import within
from pipeline.planning.pins import Given, given_in
from pipeline.planning.segments import Kept, Layout
from pipeline.planning.shots import Shot, made_of_shots
from pipeline.request import Card, StoryboardRequest

CUT_SECONDS = 1.0
"""Cards that are closer than this are too close to lead from one to the other."""


@dataclass(frozen=True)
class Beat:
    """A card at a model's rate: its words, the frame at which it is wished for, and what it shows."""

    card: int
    prompt: str
    frame: int
    begins: str
    shown: Excerpt | None = None
    is_clip: bool = False

    @property
    def picture(self) -> Excerpt | None:
        """The picture that it shows, if it is one."""
        return None if self.is_clip else self.shown

    def joins(self, gap: int, fps: int) -> bool:
        """Return whether so many frames before it lead over to it."""
        return self.begins == "led over" or (self.begins == "by spacing" and gap >= CUT_SECONDS * fps)


@dataclass(frozen=True)
class Board:
    """What cards come to: the parts of a take in their order, where each card begins in it, and its frames.

    Those that are `led` over to come out of what is before them; the others begin with a cut.
    """

    parts: tuple[Shot | Kept, ...]
    starts: Mapping[int, int]
    led: frozenset[int] = frozenset()

    @property
    def frames(self) -> int:
        """How many frames the take has."""
        return sum(part.frames for part in self.parts)

    def followed(self, shot: Shot) -> bool:
        """Return whether what comes after a shot goes on from its frames."""
        after = self.parts[self.parts.index(shot) + 1 :][:1]
        return bool(after) and isinstance(after[0], Shot) and after[0].follows > 0

    def shot_of(self, card: int) -> tuple[int, Shot] | None:
        """Return the shot that is made of a card, with the frame at which it begins; None for a clip as it is."""
        first = 0
        for part in self.parts:
            if isinstance(part, Shot) and part.card == card and not part.leads_in:
                return first, part
            first += part.frames
        return None


@dataclass(frozen=True)
class Standing:
    """Where a card stands in a take, from and to in seconds; it is `led` over to, or begins with a cut."""

    start: float
    end: float
    led: bool


def standing(request: StoryboardRequest, spec: ModelSpec) -> tuple[Standing, ...]:
    """Return where cards stand, in the order of their times; raise BadRequest for what cannot be laid out."""
    cards, board, _ = _board(request, spec, given_in(request))
    starts = [board.starts[number] for number in range(len(cards))]
    ends = [*starts[1:], board.frames]
    return tuple(
        Standing(start / spec.fps, end / spec.fps, number in board.led)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def storyboard(request: StoryboardRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    """Lay cards out along a take, or one of them anew in a take that was made of them."""
    cards, board, notes = _board(request, spec, given)
    if request.remake is not None:
        return _remade(request, cards.index(request.cards[request.remake - 1]), board, spec, given)
    segments, timeline = made_of_shots(board.parts, spec)
    moved = _moved(cards, board, spec)
    if not segments:
        raise BadRequest("cards", "There is nothing to make between these clips. Move them apart, or add a card.")
    return Layout(segments[0], timeline, (*notes, *moved, *silent(given)), further=segments[1:])


def _board(
    request: StoryboardRequest, spec: ModelSpec, given: Mapping[str, Given]
) -> tuple[list[Card], Board, list[str]]:
    """Return the cards in the order of their times, what they come to, and notes."""
    cards = sorted(request.cards, key=lambda card: card.seconds)
    beats, notes = _beats(request, cards, spec, given)
    return cards, _laid(beats, _end(request, beats, spec), spec), notes


def _beats(
    request: StoryboardRequest, cards: Sequence[Card], spec: ModelSpec, given: Mapping[str, Given]
) -> tuple[list[Beat], list[str]]:
    """Return the beats of cards in their order in time, with notes; one without words goes on with those before it."""
    beats, notes, words = list[Beat](), list[str](), ""
    for number, card in enumerate(cards):
        words = card.prompt.strip() or words
        prompt = ", ".join(filter(None, (words, request.prompt)))
        shown, is_clip = None, False
        if path := card.image or card.video:
            is_clip = not isinstance(given[path], Picture)
            shown = Excerpt(path, fit=request.fit, focus=request.focus)
        if is_clip and path:
            clip, told = given_clip(request, path, spec, given[path], whole=True)
            shown, notes = clip.excerpt, [*notes, *told]
        beats.append(Beat(number, prompt, round(card.seconds * spec.fps), card.begins, shown, is_clip))
    return beats, notes


def _end(request: StoryboardRequest, beats: Sequence[Beat], spec: ModelSpec) -> int:
    """Return the frame at which all ends: as asked, or after the last card's clip, or as long as a clip of words."""
    last = beats[-1]
    most = seconds_of(max(MOST_SECONDS * spec.fps, spec.max_frames), spec.fps)
    within("cards", last.frame / spec.fps, 0, most, " s")
    if request.seconds is None:
        return last.frame + (last.shown.frames if last.shown and last.is_clip else spec.frames)
    within("seconds", request.seconds, 0, most, " s")
    if request.seconds * spec.fps <= last.frame:
        at = seconds_of(last.frame, spec.fps)
        raise BadRequest("seconds", f"The last card stands at {at:g} s: let the take end after that, or move the card.")
    return round(frames_for(request.seconds, spec.fps))


def _laid(beats: Sequence[Beat], end: int, spec: ModelSpec) -> Board:
    """Lay beats out one after the other: what is shown stands where it can, and shots are made between."""
    parts, starts, led, at = list[Shot | Kept](), dict[int, int](), set[int](), 0
    first = beats[0]
    if first.shown and first.frame and first.joins(first.frame, spec.fps):
        lead_in = _shot(replace(first, shown=None, is_clip=False), None, first, first.frame, spec)
        parts, at = [replace(lead_in, leads_in=True)], lead_in.frames
    joined = bool(parts)
    for beat, following in zip(beats, [*beats[1:], None], strict=True):
        # A picture that was led to is the last frame of what led there.
        starts[beat.card] = at - bool(joined and beat.picture)
        led |= {beat.card} if joined else set()
        if beat.is_clip and beat.shown:
            room = (following.frame if following else end) - at
            parts.append(Kept(replace(beat.shown, frames=min(beat.shown.frames, max(room, 1)))))
            at += parts[-1].frames
        gap = (following.frame if following else end) - at
        leads = following is not None and following.joins(gap, spec.fps)
        if beat.is_clip and gap < spec.frame_grid / 2 and not (leads and following and following.shown):
            # Nothing is made of the clip, or not yet: words may go on from it all the same.
            joined = leads
            continue
        behind = parts[-1] if parts and (beat.is_clip or joined) else None
        shot = _shot(beat, behind, following if leads else None, gap, spec)
        parts, at, joined = [*parts, shot], at + shot.frames, leads
    return Board(tuple(parts), starts, frozenset(led))


def _shot(beat: Beat, behind: Shot | Kept | None, ahead: Beat | None, gap: int, spec: ModelSpec) -> Shot:
    """Return what is made for a beat: out of what is behind it, if anything, towards the beat that it leads to."""
    head = _tail_of(behind.excerpt, spec) if isinstance(behind, Kept) else None
    follows = _overlap(behind.frames, spec) if isinstance(behind, Shot) else 0
    tail = None
    if ahead and ahead.is_clip and ahead.shown:
        tail = replace(ahead.shown, frames=context_frames(ahead.shown.frames, spec.frame_grid))
    shot = Shot(
        card=beat.card,
        prompt=beat.prompt,
        frames=max(gap, 1) + bool(ahead and ahead.picture),
        head=head,
        follows=follows,
        first=None if head or follows else beat.picture,
        last=ahead.picture if ahead else None,
        tail=tail,
    )
    return shot.on_grid(spec.frame_grid)


def _overlap(frames: int, spec: ModelSpec) -> int:
    """Return how many frames of a shot the next one follows."""
    chunk = spec.chunks.overlap if spec.chunks else spec.max_frames
    return min(chunk, overlap_of(frames, spec))


def _tail_of(clip: Excerpt, spec: ModelSpec) -> Excerpt:
    """Return the end of a clip, as long as what is made after it needs it to be."""
    frames = overlap_of(clip.frames, spec)
    return replace(clip, start=clip.start + (clip.frames - frames) / spec.fps, frames=frames)


def _moved(cards: Sequence[Card], board: Board, spec: ModelSpec) -> Iterator[str]:
    """Say where cards stand that could not stand where they were put."""
    moved = [(card.seconds, board.starts[number] / spec.fps) for number, card in enumerate(cards)]
    if told := [f"{asked:g} s became {at:g} s" for asked, at in moved if abs(asked - at) > 0.01]:
        yield f"Cards moved a little: {', '.join(told)}. {spec.title} counts in {spec.frame_grid}s."


def _remade(request: StoryboardRequest, card: int, board: Board, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    """Lay one card's shot out anew, between the frames of a take that stay."""
    found = board.shot_of(card)
    if found is None:
        raise BadRequest("remake", f"Card {request.remake} shows its clip as it is: nothing of it is made.")
    path = request.video or ""
    clip, _ = given_clip(request, path, spec, given[path], whole=True)
    if clip.frames != board.frames:
        raise BadRequest(
            "video",
            f"{clip.name} has {clip.frames} frames, and these cards make {board.frames}: their times or lengths were "
            "changed since. Make the whole storyboard again, or undo that.",
        )
    start, shot = found
    # The last frame before what follows on stays, so that it still follows.
    end = start + shot.frames - board.followed(shot)
    between = _between(shot, clip, (start, end), spec)
    segments, timeline = made_of_shots(between, spec)
    return Layout(segments[0], timeline, tuple(silent(given)), further=segments[1:])


def _between(shot: Shot, take: Clip, stretch: tuple[int, int], spec: ModelSpec) -> Iterator[Shot | Kept]:
    """Yield a stretch (first frame, end) of a take made anew as a shot, and what stays on its sides."""
    first, end = stretch
    rest = take.frames - end
    head = _tail_of(take.cut(0, first), spec) if shot.lead else None
    leads = shot.tail or end - first < shot.frames
    tail = take.cut(end, context_frames(rest, spec.frame_grid)) if leads else None
    if first:
        yield Kept(take.cut(0, first))
    yield replace(shot, frames=end - first, head=head, follows=0, last=None if tail else shot.last, tail=tail)
    if rest:
        yield Kept(take.cut(end, rest))

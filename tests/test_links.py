"""Links: a recipe survives its address, what is odd is refused in one line, and what changed is told."""

import random
import string
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from asked import ASKED, Find, made, unpriced, write_files

from pipeline.errors import BadRequest
from pipeline.models import EMBEDDED
from pipeline.recipes.links import MOST_WRITTEN, is_recipe, link_of, read_link, run_in, run_link
from pipeline.recipes.recipe import recipe_of


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Find:
    return write_files(tmp_path_factory.mktemp("given"))


@pytest.mark.parametrize("name", ASKED)
def test_a_link_makes_the_same_plan(name: str, files: Find) -> None:
    plan = made(ASKED[name], files)
    link = link_of(recipe_of(plan, weights="1ba30e047a9b18c9"))
    opened = read_link("https://user-name.hf.space/" + link, weights=lambda _: "1ba30e047a9b18c9")
    assert opened.notes == ()
    assert unpriced(made(opened.fields, lambda file: files(f"FILE {file}"))) == unpriced(plan)
    assert "/tmp" not in link


def test_a_link_can_be_read_by_people() -> None:
    link = link_of(recipe_of(made({"prompt": "a red ball, 100% round & shiny?", "shape": "square", "seconds": 2.0})))
    assert link == (
        "?task=text&prompt=a+red+ball,+100%25+round+%26+shiny%3F&shape=square&size=128x128&seconds=2&frames=17"
        "&steps=8&guidance=4&seed=7&model=tabletop&app=0.1.0&v=1"
    )


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("?prompt=a red ball", {"prompt": "a red ball"}),
        ("prompt=a+red+ball&size=160x96&guidance=3", {"width": 160, "height": 96, "guidance_scale": 3.0}),
        ("https://a.b/c?task=loop&prompt=x&seconds=1.5&__theme=dark#top", {"task": "loop", "seconds": 1.5}),
        ("?task=animate&at=1.5=a@b.png@0.5", {"at": [{"seconds": 1.5, "image": "a@b.png", "strength": 0.5}]}),
        ("?task=restyle&video=run:0a1b&range=0.5..1.5", {"video": "run:0a1b", "range": [0.5, 1.5]}),
        ("?task=transition&curve=late&prompt=", {"curve": "late"}),
        (r"?task=restyle&video=C:\films\..\a.mp4", {"video": "a.mp4"}),
        ("?task=restyle&video=run:../../x", {"video": "run:x"}),
    ],
)
def test_links_are_written_by_hand_too(link: str, asked: dict[str, Any]) -> None:
    opened = read_link(link)
    assert opened.fields.items() >= asked.items()
    assert opened.fields["model"] == EMBEDDED.name
    assert opened.notes == ()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("steps=many", "steps is 'many' in this link: give a whole number of steps."),
        ("steps=-1", "steps is '-1' in this link"),
        ("seed=18446744073709551616", "seed is 18446744073709551616: give a whole number from 0"),
        ("seed=" + "9" * 5000, "seed is '999"),
        ("seconds=nan", "seconds is 'nan' in this link: give a number of seconds."),
        ("seconds=1e999", "give a number of seconds."),
        ("size=big", "size is 'big' in this link: give a width and a height, such as 160x96."),
        ("task=sora", "task is 'sora': give text, animate"),
        ("shape=<svg/onload=alert(1)>", "shape is '<svg/onload=alert(1)>': give landscape"),
        ("prompt=a&prompt=b", "The link gives prompt 2 times. Give it once."),
        ("prompt=%00", "The prompt holds U+0000"),
        ("prompt=" + "a" * 2001, "Shorten it to 2000"),
        ("prompt=" + "a" * 20_000, "too long to be one of ours"),
        ("task=animate&at=soon", "at is 'soon' in this link"),
        ("task=restyle&range=1", "range is '1' in this link: give two times"),
        ("task=restyle&strength=2", "strength is 2.0: give subtle, mild or strong"),
        ("lora=ink.bin", "no LoRA that is opened here"),
        ("lora=" + "&lora=".join("abcde"), "no LoRA"),
        ("v=x", "v is 'x' in this link"),
        ("&".join(f"a{i}=1" for i in range(300)), "holds more than a recipe does"),
    ],
)
def test_nonsense_is_refused_in_one_line(query: str, words: str) -> None:
    with pytest.raises(BadRequest, match=r"\A[^\n]{10,300}\Z") as refused:
        read_link("?" + query)
    assert words in str(refused.value)


def test_what_is_not_known_here_is_left_out_and_told() -> None:
    opened = read_link("?prompt=a ball&negative=blur&v=2&utm_source=x&seam=long&app=0.0.1&session_hash=1")
    assert opened.fields == {"prompt": "a ball", "model": "tabletop"}
    assert opened.notes == (
        "This link was made by a newer Onetake than this one, which may read it otherwise.",
        "Left out, for it is not known here: negative, utm_source, seam.",
        "It comes from Onetake 0.0.1; this is 0.1.0, which may make it otherwise.",
    )
    (note,) = read_link("?prompt=a&" + "&".join(f"<b>{i}=1" for i in range(40))).notes
    assert note.endswith("<b>4 and 35 more.")


def test_a_link_has_an_end_and_says_so() -> None:
    long = link_of(recipe_of(made({"prompt": "a" * 2000})))
    assert 2000 < len(long) <= MOST_WRITTEN
    with pytest.raises(BadRequest, match="too long for a link: it has 18,"):
        link_of(recipe_of(made({"prompt": "雪" * 2000})))


def test_a_run_has_a_link_of_its_own() -> None:
    assert run_in("https://a.b/" + run_link("0a1b2c")) == "0a1b2c"
    assert run_in("?prompt=a") is None
    assert len(run_in("?run=" + "a" * 9999) or "") == 64
    assert not is_recipe("?run=0a&prompt=a")
    assert not is_recipe("?__theme=dark&utm_source=x")
    assert is_recipe("?utm_source=x&seed=7")


def test_whatever_an_address_holds_it_opens_or_is_refused_in_one_line() -> None:
    dice = random.Random(5)
    names = ["task", "prompt", "size", "at", "lora", "seed", "steps", "range", "focus", "strength", "video", "v", "xyz"]
    values = [
        "",
        "text",
        "restyle",
        "animate",
        "1",
        "-1",
        "0.5..1",
        "1x1",
        "1=a.png",
        "a/b=2",
        "0,1",
        "😀",
        "mild",
        "\ud800",
    ]
    odd, opened = string.printable + "\x00é雪", 0
    for _ in range(3000):
        pairs = [(dice.choice(names), dice.choice(values)) for _ in range(dice.randrange(1, 7))]
        query = urlencode(pairs, errors="replace")
        if dice.random() < 0.5:
            at = dice.randrange(len(query))
            query = query[:at] + dice.choice((quote(dice.choice(odd)), dice.choice(odd), "%", "&", "=")) + query[at:]
        try:
            notes = read_link(query).notes
        except BadRequest as error:
            notes = (str(error),)
        else:
            opened += 1
        assert all("\n" not in note and len(note) < 400 for note in notes), query
    assert 300 < opened < 2700

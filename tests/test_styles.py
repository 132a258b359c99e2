"""Styles as named fields: shipped, kept, and made of words that the embedded model knows."""

from pipeline.model_spec import ModelSpec
from pipeline.planning.words import prompt_notes
from pipeline.ui import styles


def test_every_word_of_a_shipped_style_is_known(spec: ModelSpec) -> None:
    for name, style in styles.STYLES.items():
        assert set(style) <= set(styles.FIELDS)
        assert prompt_notes(", ".join(style.values()), spec) == (), name


def test_a_style_is_kept_and_comes_back() -> None:
    own = styles.keep(" Mine ", ("on ice", "", "", "at night"), None)
    assert own == {"Mine": {"theme": "on ice", "light": "at night"}}
    assert styles.words_of("Mine", own) == ("on ice", "", "", "at night")
    assert styles.names(own)[0] == "Mine"
    assert styles.keep("Winter day", ("on sand", "", "", ""), own)["Mine"] == own["Mine"]
    changed = styles.keep("Winter day", ("on sand", "", "", ""), own)
    assert styles.words_of("Winter day", changed) == ("on sand", "", "", "")


def test_nothing_is_kept_without_a_name_or_words() -> None:
    assert styles.keep(" ", ("on ice", "", "", ""), None) == {}
    assert styles.keep("Mine", ("", "", "", ""), {"a": {"theme": "x"}}) == {"a": {"theme": "x"}}
    assert styles.words_of("nothing of the kind", {}) is None

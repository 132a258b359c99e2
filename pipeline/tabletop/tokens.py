"""The tokenizer: one token per word of the caption grammar, in the format that transformers loads."""

from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from pipeline.tabletop.network import TEXT_LENGTH
from pipeline.tabletop.telling import known_words

SPECIAL: Final = ("<pad>", "</s>", "<unk>")


def make_tokenizer(world: str = "plain") -> PreTrainedTokenizerFast:
    """A lower-casing word tokenizer whose unknown words become <unk>; every text ends in </s>."""
    table = {word: index for index, word in enumerate([*SPECIAL, *known_words(world)])}
    core = Tokenizer(WordLevel(table, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[^\w\s]"), "isolated")]
    )
    core.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", table["</s>"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TEXT_LENGTH,
        padding_side="right",
    )


def load_tokenizer(model: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a trained model's folder."""
    return PreTrainedTokenizerFast.from_pretrained(model / "tokenizer")


def words_in_order(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Its words by their indices."""
    table: dict[str, int] = tokenizer.get_vocab()
    return sorted(table, key=table.__getitem__)

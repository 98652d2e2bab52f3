"""The sound directories that are mutated: each layout in each form of file, with a few numbers, and tokenizers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from glm_edu import ModelConfig, Transformer
from glm_edu.checkpoints.hub import SHIPPED
from glm_edu.quantization import quantize_

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "tokenizers"
_SMALL = dict(num_layers=2, vocab_size=20, hidden_size=16, num_heads=2, num_kv_groups=2, head_dim=8, feedforward_size=8)


def _network(preset: str, **changes: object) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(replace(ModelConfig.preset(preset), **{**_SMALL, **changes}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def _old_format(directory: Path) -> None:
    path = directory / "pytorch_model.bin"
    torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)


def _write(directory: Path) -> None:
    """Write every base below ``directory``."""
    ids = dict(bos_id=14, eos_ids=(15,), gmask_id=11, mask_id=10)
    chatglm, chatglm2, llama = _network("tiny-chatglm", **ids), _network("tiny-chatglm2"), _network("tiny-llama")
    chatglm.save_pretrained(directory / "chatglm")
    chatglm.save_pretrained(directory / "chatglm-bins", max_shard_size="4KB", safe_serialization=False)
    chatglm2.save_pretrained(directory / "chatglm2-shards", max_shard_size="3KB")
    chatglm2.half().save_pretrained(directory / "chatglm2-half-bin", safe_serialization=False)
    prefix = dict(prefix_length=2, prefix_projection=True)
    _network("tiny-chatglm2", **prefix).save_pretrained(directory / "chatglm2-prefix")
    llama.save_pretrained(directory / "llama-bin", safe_serialization=False)
    llama.save_pretrained(directory / "llama-old-bin", safe_serialization=False)
    _old_format(directory / "llama-old-bin")
    _network("tiny-llama", tied_head=True).save_pretrained(directory / "llama-tied-shards", max_shard_size="3KB")
    quantize_(_network("tiny-chatglm", **ids).half(), 8).save_pretrained(directory / "chatglm-int8")
    quantize_(_network("tiny-chatglm2").half(), 4).save_pretrained(directory / "chatglm2-int4")


def _tokenizers(directory: Path) -> None:
    words = {word: i for i, word in enumerate(("<unk>", "<s>", "</s>", "a", "b", "ab", "moon", "the"))}
    made = Tokenizer(models.BPE(words, [("a", "b")], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>", "</s>"])
    for name in ("words-json", "words-txt", "words-chatglm", "words-chatglm2"):
        (directory / name).mkdir()
    made.save(str(directory / "words-json" / "tokenizer.json"))
    config = '{"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ messages[0].content }}"}'
    (directory / "words-json" / "tokenizer_config.json").write_text(config)
    shutil.copy(SHIPPED / "tang-glm" / "vocab.txt", directory / "words-txt")
    shutil.copy(GOLDEN / "tiny_ice_text.model", directory / "words-chatglm" / "ice_text.model")
    shutil.copy(GOLDEN / "tiny_ice_text.model", directory / "words-chatglm2" / "tokenizer.model")
    (directory / "words-chatglm2" / "tokenizer_config.json").write_text('{"tokenizer_class": "ChatGLMTokenizer"}')


def write_bases(directory: Path) -> list[Path]:
    """Write them all; their directories. Those whose name begins with ``words`` hold a tokenizer."""
    parts: tuple[Callable[[Path], None], ...] = (_write, _tokenizers)
    for part in parts:
        part(directory)
    return sorted(path for path in directory.iterdir())

"""The converter's one piece of arithmetic, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import gguf as gguf_format
import numpy as np
import pytest


def _gguf(path: Path, architecture: str, tensors: dict[str, np.ndarray]) -> Path:
    writer = gguf_format.GGUFWriter(path, architecture)
    writer.add_embedding_length(8)
    writer.add_head_count(2)
    writer.add_block_count(1)
    writer.add_context_length(16)
    writer.add_feed_forward_length(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_token_list(["a", "b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_rows_of_each_head_go_from_neighbours_to_halves(converter: ModuleType) -> None:
    heads, size, width = 3, 6, 5
    stored = np.arange(heads * size * width, dtype=np.float32).reshape(heads * size, width)
    official = converter.rows_in_halves(stored, heads)
    for head in range(heads):
        for i in range(size // 2):
            assert (official[head * size + i] == stored[head * size + 2 * i]).all()
            assert (official[head * size + size // 2 + i] == stored[head * size + 2 * i + 1]).all()


def test_another_architecture_is_refused_and_leaves_nothing(converter: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'gpt2'; only llama"):
        converter.convert(_gguf(tmp_path / "other.gguf", "gpt2", {}), tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["other.gguf"]


def test_an_unknown_tensor_is_refused_and_leaves_nothing(converter: ModuleType, tmp_path: Path) -> None:
    path = _gguf(tmp_path / "odd.gguf", "llama", {"blk.0.attn_sinks.weight": np.zeros(4, dtype=np.float32)})
    with pytest.raises(ValueError, match="attn_sinks"):
        converter.convert(path, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.gguf"]

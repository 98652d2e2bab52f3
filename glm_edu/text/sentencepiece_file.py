"""Opening a SentencePiece file: ``ice_text.model`` of ChatGLM-6B, ``tokenizer.model`` of ChatGLM2-6B and ChatGLM3-6B.

A file that is no such model says why: most often it is a Git LFS pointer (a clone without ``git lfs``), or a download
that was cut.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from glm_edu.errors import CheckpointError

PUBLISHED = {  # bytes and sha256 of the files that were published
    "ice_text.model": (2_706_249, "5e974d9a69c242ce014c88c2b26089270f6198f3c0b700a887666cd3e816f17e"),
    "tokenizer.model": (1_018_370, "e7dc4c393423b76e4373e5157ddc34803a0189ba96b21ddbb40269d31468a6f2"),
}
_POINTER = b"version https://git-lfs"


def open_model(file: Path) -> Any:
    """The ``SentencePieceProcessor`` of a file.

    Raises:
        CheckpointError: a Git LFS pointer, a file that was cut or damaged, or of another kind.
    """
    from sentencepiece import SentencePieceProcessor  # here: only those who read text pay for it

    content = file.read_bytes()
    if content.startswith(_POINTER):
        promised = re.search(rb"size (\d+)", content)
        of = f" of {int(promised[1]):,} bytes" if promised else ""
        raise CheckpointError(f"{file} is a Git LFS pointer ({len(content)} bytes), not the file{of} that it stands "
                              "for. Run `git lfs pull` beside it, or download the file itself.")  # fmt: skip
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(content)
    except Exception as error:  # the library raises RuntimeError and others
        raise CheckpointError(f"{file} is no SentencePiece model. {compared(file)}") from error
    size, digest = PUBLISHED.get(file.name, (0, ""))
    if len(content) == size and hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(f"{file} is damaged. {compared(file)}")
    return processor


def compared(file: Path) -> str:
    """A sentence that sets a file beside the published one of its name."""
    if file.name not in PUBLISHED:
        return "Fetch it again."
    content = file.read_bytes()
    size, digest = PUBLISHED[file.name]
    if len(content) < size:
        return f"It has {len(content):,} of the {size:,} bytes that were published, so it was cut. Fetch it again."
    return (f"It has {len(content):,} bytes and sha256 {hashlib.sha256(content).hexdigest()}; published were {size:,} "
            f"bytes with sha256 {digest}. Fetch it again.")  # fmt: skip

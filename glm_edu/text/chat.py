"""A chat with any model of the family: messages in, the answer out, piece by piece or whole.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d; ChatGLM3-6B rev 456aa87), chat and
stream_chat.
Differs: a stream gives new pieces, not the answer so far; the pieces put together are the whole answer, cleaned as the
official chat cleans it, so what may still change is held back. The last token is kept where the room ends (the official
code drops it). An id that the network has and the tokenizer does not leaves no text, as officially in ChatGLM3-6B.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, overload

import torch
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.generate import stream as new_tokens
from glm_edu.model.transformer import Transformer
from glm_edu.text.messages import Message
from glm_edu.text.tokenizer import Tokenizer


@overload
def chat(
    model: Transformer, tok: Tokenizer, messages: Sequence[Message], stream: Literal[True] = True,
    max_new_tokens: int | None = None, temperature: float | None = None, top_p: float | None = None,
    top_k: int | None = None, generator: torch.Generator | None = None,
) -> Iterator[str]: ...  # fmt: skip
@overload
def chat(
    model: Transformer, tok: Tokenizer, messages: Sequence[Message], stream: Literal[False],
    max_new_tokens: int | None = None, temperature: float | None = None, top_p: float | None = None,
    top_k: int | None = None, generator: torch.Generator | None = None,
) -> str: ...  # fmt: skip


def chat(
    model: Transformer, tok: Tokenizer, messages: Sequence[Message], stream: bool = True,
    max_new_tokens: int | None = None, temperature: float | None = None, top_p: float | None = None,
    top_k: int | None = None, generator: torch.Generator | None = None,
) -> Iterator[str] | str:  # fmt: skip
    """The assistant's answer to ``messages``, without its stop token.

    Ctrl-C stops it between two tokens or within one; model, tokenizer and messages stay as they were.

    Args:
        messages: ``[{"role": "user", "content": "..."}, ...]``, the same for all generations.
        stream: an iterator of pieces, which put together are the answer; False: the answer.
        max_new_tokens: None: prompt and answer together as long as in the official chat, within the model's room.
        temperature: with ``top_p`` and ``top_k``, as in ``generate``; None: the official default, ``tok.sampling``.
        generator: seeds the sampling.

    Raises:
        InputError: messages that are no chat for this model, a prompt without room, a setting outside its range, or a
            tokenizer that does not belong to the model.
    """
    _check_pair(model, tok)
    ids = tok.encode_chat(messages)
    room = _room(model, tok, len(ids))
    input_ids = torch.tensor([ids], device=next(model.parameters()).device)  # 1 s
    steps = new_tokens(
        model, input_ids, max_new_tokens=room if max_new_tokens is None else max_new_tokens, stop_ids=tok.stop_ids,
        temperature=tok.sampling.temperature if temperature is None else temperature,
        top_p=tok.sampling.top_p if top_p is None else top_p,
        top_k=tok.sampling.top_k if top_k is None else top_k, generator=generator,
    )  # fmt: skip
    pieces = _pieces(tok, steps)
    return pieces if stream else "".join(pieces)


def _pieces(tok: Tokenizer, steps: Iterator[Tensor]) -> Iterator[str]:
    ids: list[int] = []
    shown = 0
    for new in steps:
        if (token := int(new)) in tok.stop_ids:
            break
        ids += [token] * (token < tok.vocab_size)
        text = tok.answer(ids, finished=False)
        if len(text) > shown:
            yield text[shown:]
            shown = len(text)
    if rest := tok.answer(ids)[shown:]:
        yield rest


def _room(model: Transformer, tok: Tokenizer, prompt: int) -> int:
    """New tokens behind a prompt: what the official length leaves, or else all that the model has room for.

    The last one is not read again, so it needs no position.
    """
    room = model.config.max_positions + 1 - prompt
    if room < 1:
        raise InputError(f"The prompt has {prompt} tokens, and this model was made for {model.config.max_positions}; "
                         f"drop at least {1 - room}, for example the oldest messages.")  # fmt: skip
    official = (tok.sampling.max_length or 0) - prompt
    return min(room, official) if official > 0 else room


def _check_pair(model: Transformer, tok: Tokenizer) -> None:
    ends, rows = set(model.config.eos_ids), model.config.vocab_size
    if tok.vocab_size > rows or not ends <= set(tok.stop_ids):
        raise InputError(
            f"This tokenizer has {tok.vocab_size} ids and stops at {sorted(tok.stop_ids)}; the model has {rows} rows "
            f"and stops at {sorted(ends)}. They do not belong together: load both from one directory."
        )

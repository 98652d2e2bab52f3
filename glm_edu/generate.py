"""Generation: pick a next token, append it, go on.

The choice follows the official order: temperature, then top-k, then top-p. The official ``chat`` of ChatGLM-6B samples
with temperature 0.95, top-p 0.7 and, by a default of transformers that is easily overlooked, top-k 50.

Official: modeling_chatglm.py (ChatGLM-6B rev 8b7d335), chat and stream_generate.
Differs: any number of stop ids works (the official loop never ends with two); NaN logits are an error (the official
code then writes blanks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from glm_edu.errors import InputError
from glm_edu.model.cache import KVCache
from glm_edu.model.transformer import Transformer


def generate(
    model: Transformer, input_ids: Int[Tensor, "b s"], max_new_tokens: int = 20, temperature: float = 0.0,
    top_k: int = 0, top_p: float = 1.0, stop_ids: tuple[int, ...] | list[int] | None = None,
    attention_mask: Tensor | None = None, generator: torch.Generator | None = None,
    use_cache: bool = True, progress: bool = False,
) -> Int[Tensor, "b t"]:  # fmt: skip
    """The prompt and up to ``max_new_tokens`` new ids, [batch, seq + new]; fewer when every row has stopped.

    Args:
        temperature: 0 takes the likeliest token; above, logits are divided by it and sampled.
        top_k: sample among the k likeliest only; 0 = all.
        top_p: then among the likeliest that together reach this probability; 1 = all.
        stop_ids: a row that makes one of these ends there and is filled with the pad id; None: the config's end ids;
            () = never.
        attention_mask: [batch, seq], 1 = keep; a batch of prompts of different length is padded on the left.
        generator: seeds the sampling.
        use_cache: False recomputes everything at each step: slow, the same ids.
        progress: show a progress bar.

    Raises:
        InputError: a setting outside its range, right padding, or logits that are not numbers.
    """
    steps = stream(
        model, input_ids, max_new_tokens, temperature, top_k, top_p, stop_ids, attention_mask, generator, use_cache
    )
    new = list(tqdm(steps, total=max_new_tokens, desc="generating", unit="token", disable=not progress))
    return torch.cat([input_ids, *(ids[:, None] for ids in new)], dim=1)


def stream(
    model: Transformer, input_ids: Int[Tensor, "b s"], max_new_tokens: int = 20, temperature: float = 0.0,
    top_k: int = 0, top_p: float = 1.0, stop_ids: tuple[int, ...] | list[int] | None = None,
    attention_mask: Tensor | None = None, generator: torch.Generator | None = None, use_cache: bool = True,
) -> Iterator[Int[Tensor, " b"]]:  # fmt: skip
    """The new ids of each step, [batch], as they are made. Settings and errors as in ``generate``."""
    _check_settings(max_new_tokens, temperature, top_k, top_p)
    _check_prompt(input_ids, attention_mask)
    if (longest := input_ids.shape[1] + max_new_tokens - 1) > (room := model.config.max_positions):
        raise InputError(f"{max_new_tokens} new tokens need room for {longest}, and this model was made for {room}; "
                         f"max_new_tokens may be {max(0, room + 1 - input_ids.shape[1])}.")  # fmt: skip
    pick = partial(choose, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    ends = torch.tensor(model.config.eos_ids if stop_ids is None else stop_ids, dtype=torch.long)
    cache = KVCache() if use_cache else None
    return _steps(model, input_ids, attention_mask, max_new_tokens, pick, ends.to(input_ids.device), cache)


@torch.no_grad()
def _steps(
    model: Transformer, ids: Int[Tensor, "b s"], keep: Tensor | None, count: int, pick: Callable[[Tensor], Tensor],
    ends: Int[Tensor, "*ends"], cache: KVCache | None,
) -> Iterator[Int[Tensor, " b"]]:  # fmt: skip
    stopped = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)  # b
    for _ in range(count):
        fed = ids if cache is None else ids[:, cache.tokens :]  # b s
        logits = model(fed, attention_mask=keep, cache=cache, last_only=True)[:, -1]  # b v
        new = torch.where(stopped, filling_id(model), pick(logits))  # b
        stopped = stopped | torch.isin(new, ends)
        yield new
        if bool(stopped.all()):
            return
        ids = torch.cat([ids, new[:, None]], dim=1)  # b s
        keep = None if keep is None else torch.cat([keep, torch.ones_like(keep[:, :1])], dim=1)  # b s


def choose(
    logits: Float[Tensor, "b v"], temperature: float = 0.0, top_k: int = 0, top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " b"]:  # fmt: skip
    """One id a row: the likeliest, or a sample after temperature, top-k and top-p, in this order."""
    if not bool(torch.isfinite(logits).all()):
        raise InputError("The logits hold NaN or infinity. In float16 that is an overflow: try bfloat16 or float32.")
    if temperature == 0.0:
        return logits.argmax(-1)
    logits = logits.float()
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature  # the largest is 0: no temperature overflows
    if 0 < top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
    if top_p < 1.0:
        ordered, order = logits.sort(descending=True)  # b v
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)  # b v   probability of the likelier ones
        logits = logits.masked_fill((before >= top_p).gather(-1, order.argsort(-1)), -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def filling_id(model: Transformer) -> int:
    """What fills a row that has ended: the pad id, or else an end id, or else 0."""
    config = model.config
    return config.pad_id if config.pad_id is not None else config.eos_ids[0] if config.eos_ids else 0


def _check_settings(max_new_tokens: int, temperature: float, top_k: int, top_p: float) -> None:
    for name, given, kind in (("max_new_tokens", max_new_tokens, int), ("temperature", temperature, float | int),
                              ("top_k", top_k, int), ("top_p", top_p, float | int)):  # fmt: skip
        if not isinstance(given, kind) or isinstance(given, bool):
            raise InputError(f"{name}={given!r} should be a {'whole ' * (kind is int)}number.")
    if max_new_tokens < 0:
        raise InputError(f"max_new_tokens={max_new_tokens} must be 0 or more.")
    if not temperature >= 0.0:
        raise InputError(f"temperature={temperature} must be 0 (the likeliest token) or more.")
    if top_k < 0:
        raise InputError(f"top_k={top_k} must be 0 (all tokens) or more.")
    if not 0.0 < top_p <= 1.0:
        raise InputError(f"top_p={top_p} must lie in (0, 1].")


def _check_prompt(input_ids: Tensor, attention_mask: Tensor | None) -> None:
    for name, given in (("input_ids", input_ids), ("attention_mask", attention_mask)):
        if given is not None and (not isinstance(given, Tensor) or given.ndim != 2):
            shape = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise InputError(f"{name} should be a tensor [batch, seq], not {shape}; one prompt is torch.tensor([ids]).")
    if attention_mask is not None and not bool(attention_mask[:, -1:].all()):
        raise InputError("attention_mask hides a last token; pad on the left, so that rows end with their prompts.")

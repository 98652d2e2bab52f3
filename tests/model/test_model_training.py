"""Training: gradients reach everything, dropout is where the config puts it, checkpointing costs time and no more."""

from typing import Any

import pytest
import torch
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import ModelConfig, Transformer, next_token_loss, record

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "with a prefix": {"prefix_length": 3},
    "with a projected prefix": {"prefix_length": 3, "prefix_projection": True},
}


def _trains(preset: str, **options: Any) -> Transformer:
    return tiny(preset, **options).requires_grad_().train()


def _batch(config: ModelConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Two examples padded on the left, labels on the answer only."""
    ids, keep = prompt(config, 9, 7, answer=4)
    labels = ids.clone()
    labels[:, :-4] = -100
    return ids, keep, labels


def _gradients(model: Transformer, seed: int = 0) -> tuple[float, dict[str, Tensor]]:
    ids, keep, labels = _batch(model.config)
    torch.manual_seed(seed)
    model.zero_grad()
    loss = next_token_loss(model(ids, attention_mask=keep), labels)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "fast"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_gradients_reach_every_parameter(preset: str, kind: str, eager: bool) -> None:
    model = _trains(preset, **KINDS[kind])
    model.eager_attention = eager
    _, gradients = _gradients(model)
    assert gradients.keys() == dict(model.named_parameters()).keys()
    untouched = [name for name, gradient in gradients.items() if not gradient.abs().max() > 0]
    assert not untouched
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_both_attention_paths_have_the_same_gradients(preset: str) -> None:
    model = _trains(preset)
    _, fast = _gradients(model)
    model.eager_attention = True
    _, slow = _gradients(model)
    for name in fast:
        torch.testing.assert_close(fast[name], slow[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("options", [{}, {"hidden_dropout": 0.2, "attention_dropout": 0.2}, {"prefix_length": 3}])
@pytest.mark.parametrize("preset", PRESETS)
def test_gradient_checkpointing_gives_the_same_loss_and_gradients(preset: str, options: dict[str, Any]) -> None:
    model = _trains(preset, **options)
    loss, gradients = _gradients(model)
    model.gradient_checkpointing = True
    calls = _count_blocks(model)
    again, recomputed = _gradients(model)
    assert len(calls) == 2 * model.config.num_layers  # forward, and once more on the way back
    assert again == loss
    for name in gradients:
        assert torch.equal(gradients[name], recomputed[name])


def _count_blocks(model: Transformer) -> list[object]:
    calls: list[object] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda block, inputs: calls.append(block))
    return calls


def test_gradient_checkpointing_is_for_training_only() -> None:
    model = _trains("tiny-llama").eval()
    model.gradient_checkpointing = True
    calls = _count_blocks(model)
    _gradients(model)
    assert len(calls) == model.config.num_layers


def _differ(model: Transformer) -> set[str]:
    """The tensors of block 0 and of the mask that two passes make differently."""
    ids, keep, _ = _batch(model.config)
    names = ["blocks.0.*", "embedding", "position_ids"]
    with record(model, names) as first:
        model(ids, attention_mask=keep)
    with record(model, names) as second:
        model(ids, attention_mask=keep)
    return {name.removeprefix("blocks.0.") for name in first if not torch.equal(first[name], second[name])}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_published_models_have_no_dropout(preset: str) -> None:
    assert not _differ(_trains(preset))


ANY = {"hidden_dropout": 0.3, "attention_dropout": 0.3, "prefix_length": 3}


@pytest.mark.parametrize("preset", PRESETS)
def test_dropout_acts_in_training_mode_only(preset: str) -> None:
    assert not _differ(_trains(preset, **ANY).eval())
    assert _differ(_trains(preset, **ANY))


def test_hidden_dropout_acts_on_what_each_sublayer_adds() -> None:
    after_attention = {"middle", "post_attention_norm", "feedforward.hidden", "feedforward.output", "output"}
    assert _differ(_trains("tiny-chatglm2", hidden_dropout=0.3)) == after_attention


def test_attention_dropout_acts_between_the_probabilities_and_the_values() -> None:
    differing = _differ(_trains("tiny-chatglm2", attention_dropout=0.3))
    assert "mixed" in {name.removeprefix("attention.") for name in differing}
    assert not differing & {"attention.scores", "attention.probs", "attention.value"}


@pytest.mark.parametrize("eager", [True, False])
def test_attention_dropout_acts_on_the_fast_path_too(eager: bool) -> None:
    model = _trains("tiny-chatglm2", attention_dropout=0.3)
    model.eager_attention = eager
    ids, keep, _ = _batch(model.config)
    assert not torch.equal(model(ids, attention_mask=keep), model(ids, attention_mask=keep))


def test_prefix_dropout_acts_on_learned_keys_and_values() -> None:
    differing = _differ(_trains("tiny-chatglm2", prefix_length=3))
    assert {"attention.key", "attention.value", "attention.probs"} <= differing
    assert not _differ(_trains("tiny-chatglm2", prefix_length=3, prefix_dropout=0.0))


@pytest.mark.parametrize("projection", [False, True])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_prefix_trains_while_the_rest_is_frozen(preset: str, projection: bool) -> None:
    model = tiny(preset, prefix_length=4, prefix_projection=projection, prefix_dropout=0.0)
    assert model.prefix is not None
    learned = list(model.prefix.requires_grad_().parameters())
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.Adam(learned, lr=0.05)
    losses = []
    for _ in range(8):
        losses.append(_step(model.train(), optimizer))
    assert losses[-1] < 0.95 * losses[0]
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        f"prefix.{name}" for name, _ in model.prefix.named_parameters()
    }
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


def _step(model: Transformer, optimizer: torch.optim.Optimizer) -> float:
    ids, keep, labels = _batch(model.config)
    optimizer.zero_grad()
    loss = next_token_loss(model(ids, attention_mask=keep), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def test_a_half_model_trains_a_float32_prefix() -> None:
    model = tiny("tiny-chatglm2", prefix_length=4).to(torch.bfloat16).train()
    assert model.prefix is not None
    model.prefix.float().requires_grad_()
    ids, keep, labels = _batch(model.config)
    next_token_loss(model(ids, attention_mask=keep), labels).backward()
    for parameter in model.prefix.parameters():
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("preset", PRESETS)
def test_a_fresh_network_learns_a_sentence(preset: str) -> None:
    torch.manual_seed(1)
    model = Transformer(ModelConfig.preset(preset))
    ids, _, _ = _batch(model.config)
    ids = ids[:1]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = next_token_loss(model(ids), ids)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(torch.tensor(512.0).log().item(), rel=0.1)  # it begins knowing nothing
    assert losses[-1] < 0.5 * losses[0]


def test_a_fresh_network_has_the_start_it_promises() -> None:
    model = Transformer(ModelConfig.preset("tiny-chatglm"))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert torch.equal(parameter, torch.full_like(parameter, float(name.endswith("weight"))))
        elif name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)

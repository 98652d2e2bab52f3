"""The linear layer that has a product of its own for one row: the same numbers, and the right product each time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glm_edu import KVCache, ModelConfig, Transformer, generate, record
from glm_edu.linear import Linear


class Products(TorchFunctionMode):
    """Which products a call makes, by the name of torch's function."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Callable[..., object], types: object, args: tuple = (), kwargs: object = None):
        if func in (torch.mv, torch.addmv, torch.nn.functional.linear):
            self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1, 48), (1, 48), (48,), (1, 3, 48), (2, 1, 48)])
def test_every_shape_and_dtype_gives_what_a_linear_layer_gives(shape: tuple[int, ...], dtype: torch.dtype, bias: bool):
    layer = Linear(48, 20, bias=bias, dtype=dtype)
    x = torch.randn(shape).to(dtype)
    with torch.no_grad():
        expected = x.double() @ layer.weight.double().T + (layer.bias.double() if bias else 0)
        found = layer(x)
    assert found.shape == (*shape[:-1], 20) and found.dtype == dtype
    # a sum of 48 products, each at most about 0.5, rounded once in the dtype: a few units in the last place of 1
    assert torch.allclose(found.double(), expected, rtol=0, atol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("rows", "dtype", "bias", "learning", "product"),
    [
        (1, torch.float32, False, False, "mv"),
        (1, torch.bfloat16, True, False, "addmv"),
        (1, torch.float16, False, False, "linear"),  # its matrix-vector product is the slower one
        (2, torch.float32, False, False, "linear"),
        (1, torch.float32, False, True, "linear"),  # gradients are those of nn.Linear
    ],
)
def test_one_row_has_a_product_of_its_own(rows: int, dtype: torch.dtype, bias: bool, learning: bool, product: str):
    layer = Linear(8, 4, bias=bias, dtype=dtype)
    with torch.set_grad_enabled(learning), Products() as products:
        layer(torch.ones(1, rows, 8, dtype=dtype))
    assert products.names == [product]


def _model() -> Transformer:
    return Transformer(ModelConfig.preset("tiny-chatglm2")).eval()


def test_the_last_logits_alone_are_those_of_the_whole_pass() -> None:
    model, ids = _model(), torch.randint(3, 400, (2, 7))
    with torch.no_grad():
        last = model(ids, last_only=True)
        assert last.shape == (2, 1, model.config.vocab_size)
        # another number of rows takes another order of sums
        assert torch.allclose(last, model(ids)[:, -1:], atol=1e-6)


@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_makes_the_logits_that_it_reads_and_no_others(use_cache: bool) -> None:
    model, ids = _model(), torch.randint(3, 400, (1, 5))
    shapes: list[tuple[int, ...]] = []

    def note(logits: Tensor) -> Tensor:
        shapes.append(tuple(logits.shape))
        return logits

    with record(model, replace={"logits": note}):
        generate(model, ids, max_new_tokens=3, stop_ids=(), use_cache=use_cache)
    assert shapes == [(1, 1, model.config.vocab_size)] * 3


def test_a_cache_goes_on_whichever_logits_were_asked_for() -> None:
    model, ids = _model(), torch.randint(3, 400, (1, 6))
    caches = KVCache(), KVCache()
    with torch.no_grad():
        for cache, last_only in zip(caches, (True, False), strict=True):
            model(ids[:, :4], cache=cache, last_only=last_only)
        steps = [model(ids[:, 4:], cache=cache) for cache in caches]
    assert caches[0].length == caches[1].length == 6
    assert torch.equal(*steps)

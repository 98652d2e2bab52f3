"""A quantized layer: PyTorch's kernels and the unpacked product agree, its state is the official one, errors speak."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glm_edu.errors import InputError
from glm_edu.parity.component import Component
from glm_edu.quantization import QuantizedLinear, kernels, kernels_of, quantize_
from tests.tiny import PRESETS, prompt, tiny

ROOMY = {"num_layers": 1, "feedforward_size": 128}  # the int4 kernel wants multiples of 32


def _layer(bits: int, dtype: torch.dtype = torch.float32, shape: tuple[int, int] = (80, 96)) -> QuantizedLinear:
    torch.manual_seed(0)
    return QuantizedLinear(nn.Linear(shape[1], shape[0]).to(dtype), bits).requires_grad_(False)


def _input(layer: QuantizedLinear, *rows: int) -> Tensor:
    x = torch.randn(*rows, layer.in_features, generator=torch.Generator().manual_seed(1))
    return x.to(layer.weight_scale.dtype)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_product_is_the_official_one(bits: int) -> None:
    """One row goes through a kernel for int8; int4 has too few columns for one. Tolerance of the stored case: 1e-5."""
    golden = Component("chatglm2_quantization")
    linear = nn.Linear(16, 6)
    linear.weight.data, linear.bias.data = golden["w"], golden["bias"]
    layer = QuantizedLinear(linear, bits)
    assert layer.kernel() == (kernels.INT8 if bits == 8 else kernels.PLAIN)
    for x in (golden["x"], golden["x"][:1]):
        torch.testing.assert_close(layer(x), golden[f"int{bits}.fp32.linear_out"][: len(x)], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype, close", [(torch.float32, 1e-6), (torch.bfloat16, 2**-7)], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("bits, kernel", [(8, kernels.INT8), (4, kernels.INT4)])
def test_kernels_and_the_unpacked_product_agree(bits: int, kernel: str, dtype: torch.dtype, close: float) -> None:
    """float32: sums of 96 products in another order. bfloat16: both round their result, one of them the weights."""
    layer = _layer(bits, dtype)
    rows = kernels.MOST_ROWS[dtype]
    assert layer.kernel(rows) == kernel and layer.kernel(rows + 1) == kernels.PLAIN
    x = _input(layer, rows)
    fast = layer(x)
    with torch.no_grad():
        layer.to_official_order()
        exact = torch.nn.functional.linear(x, layer._dequantized(0, 80), layer.bias)
    assert torch.equal(layer(torch.cat([x, x]))[:rows], layer(torch.cat([x, x]))[rows:])
    for ours in (fast, layer(torch.cat([x, x]))[:rows]):
        assert (ours - exact).abs().max() <= close * exact.abs().max()


@pytest.mark.parametrize("rows", [16, 48, 64, 80, 144])
def test_the_kernels_order_of_int4_is_undone_exactly(rows: int) -> None:
    numbers = torch.randint(-8, 8, (rows, 96), generator=torch.Generator().manual_seed(rows), dtype=torch.int8)
    ordered = kernels.to_kernel_order(numbers)
    assert ordered.nbytes * 2 == numbers.nbytes
    assert torch.equal(kernels.from_kernel_order(ordered), numbers)


def test_the_order_is_found_on_a_processor_without_wide_instructions() -> None:
    """PyTorch can be told to take none of them; the packing then keeps fewer rows together."""
    script = (
        "import torch; from glm_edu.quantization import kernels\n"
        "numbers = (torch.arange(144 * 96) * 7 // 3 % 16 - 8).to(torch.int8).view(144, 96)\n"
        "assert torch.backends.cpu.get_cpu_capability() == 'DEFAULT'\n"
        "assert kernels._rows_together() in (16, 32)\n"
        "assert torch.equal(kernels.from_kernel_order(kernels.to_kernel_order(numbers)), numbers)\n"
    )
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=Path(__file__).parents[2])


def test_int4_is_one_copy_in_memory_and_its_state_is_official() -> None:
    """Decoding puts the numbers into the kernel's order; a state or a copy has the official one."""
    layer = _layer(4)
    official = layer.weight.clone()
    expected = layer(_input(layer, 1))
    assert layer.weight.dtype == torch.uint8 and sum(b.nbytes for b in layer.buffers()) == official.nbytes + 80 * 4
    for again in (copy.deepcopy(layer), _saved_and_read(layer), _moved()):
        assert torch.equal(again.weight, official)
        assert torch.equal(again(_input(layer, 1)), expected)
    layer(_input(layer, 1))
    assert torch.equal(layer.state_dict()["weight"], official)
    other = QuantizedLinear(nn.Linear(96, 80), 4).requires_grad_(False)
    other(_input(other, 1))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(_input(other, 1)), expected)


def _moved() -> QuantizedLinear:
    """As ``.to`` moves a layer that has decoded; the kernel's order would mean nothing at the other end."""
    used = _layer(4)
    used(_input(used, 1))
    assert used.weight.dtype == torch.uint8
    used._apply(lambda tensor: tensor)
    return used


def _saved_and_read(layer: QuantizedLinear) -> QuantizedLinear:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)  # written four lines above


@pytest.mark.parametrize("bits", [8, 4])
def test_gradients_pass_through_to_what_is_before(bits: int) -> None:
    """P-tuning trains a prefix in front of quantized weights: official recipe, ptuning/train.sh."""
    layer = _layer(bits)
    x = _input(layer, 1).requires_grad_()
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer._dequantized(0, 80).sum(0)[None], atol=1e-5, rtol=0)  # sums of 80


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("bits", [8, 4])
def test_the_linears_of_the_blocks_and_nothing_else(preset: str, bits: int) -> None:
    model = tiny(preset, **ROOMY)
    floats = dict(model.state_dict())
    ids, keep = prompt(model.config, 9)
    logits = model(ids, keep)
    assert quantize_(model, bits) is model and model.config.quantization_bits == bits
    left = {name: tensor for name, tensor in model.state_dict().items() if tensor.dtype == torch.float32}
    assert all(torch.equal(tensor, floats[name]) for name, tensor in left.items() if not name.endswith("_scale"))
    changed = {name.removesuffix(".weight") for name in floats.keys() - left.keys()}
    assert changed == {name for name in floats_of_blocks(floats)} == kernels_of(model).keys()
    assert set(kernels_of(model).values()) == {kernels.INT8 if bits == 8 else kernels.INT4}
    moved = (model(ids, keep) - logits).abs().max() / logits.abs().max()
    assert 1e-4 < moved < (0.05 if bits == 8 else 0.7)  # a swapped half or a scale of another row moves it by more
    with pytest.raises(InputError, match=f"is int{bits} already"):
        quantize_(model, 8)


def floats_of_blocks(state: dict[str, Tensor]) -> set[str]:
    """Names of the matrices inside blocks."""
    return {n.removesuffix(".weight") for n, t in state.items() if n.startswith("blocks.") and t.ndim == 2}


def test_bad_calls_say_what_was_expected() -> None:
    model = tiny("tiny-llama", num_layers=1)
    with pytest.raises(InputError, match=r"bits=5 is not supported; it may be 8 or 4"):
        quantize_(model, 5)
    model.get_parameter("blocks.0.feedforward.down.weight")[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"blocks\.0\.feedforward\.down: NaN"):
        quantize_(model, 4)
    assert not kernels_of(model) and model.config.quantization_bits == 0, "half a model was quantized"
    layer = _layer(8)
    with pytest.raises(InputError, match=r"input is torch\.bfloat16 on cpu, but .* torch\.float32 on cpu"):
        layer(_input(layer, 1).bfloat16())
    with pytest.raises(InputError, match=r"95 columns.* 96"):
        layer(torch.ones(1, 95))
    assert "bits=8, bias=True, kernel=torch._weight_int8pack_mm" in repr(layer)

"""Each equation against its function on random inputs, and what each change of either does to that comparison."""

from __future__ import annotations

import inspect
import json
import random
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from mutations import mutations

from glm_edu.equations import EQUATIONS, Equation
from glm_edu.equations.evaluate import value
from glm_edu.errors import InputError
from glm_edu.page import equation

# Both sides are float64, and sums have at most a dozen terms. The one float32 operand is the row of quantize_scale.
TOLERANCE = {"quantize_scale": 1e-6}
FLOAT64 = 1e-12
TRIES = 3  # random inputs a comparison


def drawn(seed: int) -> dict[str, dict[str, Any]]:
    """Random inputs of every equation: no value is 0 or 1, and no two sizes are equal, so that no change hides."""
    pick = random.Random(seed)

    def real(low: float = 0.3, high: float = 1.9) -> float:
        return pick.choice((-1, 1)) * pick.uniform(low, high)

    def reals(count: int) -> list[float]:
        return [real() for _ in range(count)]

    def size(low: int = 3, high: int = 9) -> int:
        return pick.randint(low, high)

    h, d, k, v = size(), size(), size(), size()
    m, layers, heads = size(v, v), size(), 2 * size()
    norm = {"x": reals(h), "w": reals(h), "epsilon": abs(real()), "h": h, "j": pick.randint(2, h)}
    score = {"q": reals(d), "k": reals(d), "d": d}
    angle = abs(real(0.3, 0.9))
    return {
        "gelu_tanh": {"x": real()}, "gelu_erf": {"x": real()}, "silu": {"x": real()},
        "swiglu": {"a": real(), "b": real()},
        "layer_norm": {**norm, "b": reals(h)}, "rms_norm": norm,
        "inverse_frequency": {"B": pick.uniform(5, 9000), "i": size(2, 5), "r": 2 * size(6, 9)},
        "rotary_pair": {"x": reals(2), "p": size(), "theta": angle},
        "relative_distance": {"q": reals(2), "k": reals(2), "m": size(), "n": -size(), "theta": angle},
        "attention_score": score, "layer_scaling": {**score, "c": size(2, 28)},
        "softmax": {"s": reals(k), "k": k, "j": pick.randint(1, k)},
        "deepnorm_alpha": {"L": size(3, 90)},
        "deepnorm_residual": {"x": real(), "y": real(), "f": real(), "alpha": pick.uniform(2, 9)},
        "parameter_count_v1": {"L": layers, "h": 4 * h, "f": size(11, 19), "v": size(21, 99)},
        "parameter_count_v2": {"L": layers, "h": 2 * h, "n": heads, "g": heads // 2, "d": 4 * d, "f": 23, "v": 31},
        "cache_bytes_per_token": {"L": layers, "g": size(), "d": 4 * d, "e": pick.choice((2, 4))},
        "infilling_loss": {"z": [reals(v) for _ in range(m)], "y": pick.choices(range(1, v + 1), k=m), "m": m, "v": v},
        "quantize_scale": {"w": reals(2 * h), "n": 2 * h, "b": pick.choice((4, 8))},
    }  # fmt: skip


@cache
def inputs(name: str) -> list[dict[str, Any]]:
    return [drawn(seed)[name] for seed in range(TRIES)]


def differ(one: Equation, function: Callable[..., Any] | None = None) -> bool:
    """Whether formula and function disagree for one of the random inputs, or either cannot be computed."""
    tolerance = TOLERANCE.get(one.name, FLOAT64)
    for at in inputs(one.name):
        try:
            formula, computed = one.formula(at), one.computed(at, function)
        except (ArithmeticError, IndexError, TypeError, ValueError, RuntimeError):
            return True
        if formula.shape != computed.shape or not np.allclose(formula, computed, rtol=tolerance, atol=0):
            return True
    return False


@pytest.mark.parametrize("name", EQUATIONS)
def test_formula_and_function_agree(name: str) -> None:
    one = EQUATIONS[name]
    for at in inputs(name):
        np.testing.assert_allclose(one.formula(at), one.computed(at), rtol=TOLERANCE.get(name, FLOAT64))
    np.testing.assert_allclose(one.formula(), one.computed(), rtol=TOLERANCE.get(name, FLOAT64))


def changed_formulas(one: Equation) -> list[tuple[str, Equation]]:
    found = [(what, replace(one, right=right)) for what, right in mutations(one.right)]
    found.append(("the sign of it all turned", replace(one, right=sympy.Mul(-1, one.right, evaluate=False))))
    for place, (symbol, meaning) in enumerate(one.where):
        for what, other in mutations(meaning):
            where = (*one.where[:place], (symbol, other), *one.where[place + 1 :])
            found.append((f"{symbol}: {what}", replace(one, where=where)))
    return found


@pytest.mark.parametrize("name", EQUATIONS)
def test_every_change_of_the_formula_is_noticed(name: str) -> None:
    tried = changed_formulas(EQUATIONS[name])
    assert len(tried) >= 3
    assert not [what for what, one in tried if not differ(one)]


PLANTED = {  # a piece of the function's source, and the mistake in its place
    "gelu_tanh": ('approximate="tanh"', 'approximate="none"'),
    "gelu_erf": ("math.sqrt(2.0)", "2.0"),
    "silu": ("F.silu(x)", "x.sigmoid()"),
    "swiglu": ("return silu(gate) * up", "return silu(up) * gate"),
    "layer_norm": ("weight, bias, eps", "weight, bias, eps**2"),
    "rms_norm": ("_unit_rms(x, eps) *", "_unit_rms(x, 0) *"),
    "inverse_frequency": ("0, rotary_dim, 2", "2, rotary_dim + 2, 2"),
    "rotary_pair": ("x * c +", "x * c -"),
    "relative_distance": ("x * c + ROTATE[pairing](x) * s", "x * (c + s)"),
    "attention_score": ("math.sqrt(query.shape[-1])", "query.shape[-1]"),
    "layer_scaling": ("torch.float32)) * layer", "torch.float32))"),
    "softmax": ("scores.softmax(-1)", "scores.sigmoid()"),
    "deepnorm_alpha": ("2 * self.alpha_layers", "2 * self.num_layers"),
    "deepnorm_residual": ("alpha * normed + out", "normed + alpha * out"),
    "parameter_count_v1": ("norm = h * (2 if", "norm = h * (1 if"),
    "parameter_count_v2": ("(q + 2 * kv) + (q + 2 * kv)", "(q + kv) + (q + kv)"),
    "cache_bytes_per_token": ("2 * config.num_layers", "config.num_layers"),
    "infilling_loss": ("labels[:, 1:]", "labels[:, :-1]"),
    "quantize_scale": ("limit = LIMITS[bits]", "limit = LIMITS[bits] + 1"),
}


def spoiled(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """The function, compiled anew from its source with ``wrong`` in the place of ``right``."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    assert source.count(right) == 1, f"{function.__qualname__} has {right!r} {source.count(right)} times"
    names = dict(inspect.unwrap(function).__globals__)
    source = source[source.index("def ") :].replace(right, wrong)
    exec(compile("from __future__ import annotations\n" + source, "planted", "exec"), names)
    return names[function.__name__]


def test_a_mistake_is_planted_in_the_function_of_every_equation() -> None:
    assert PLANTED.keys() == EQUATIONS.keys()


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_in_the_function_is_noticed(name: str) -> None:
    one = EQUATIONS[name]
    assert differ(one, spoiled(one.function, *PLANTED[name]))


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_page_shows_formula_function_and_number(name: str) -> None:
    bundle = equation(name)._repr_mimebundle_()
    shown = bundle["text/markdown"]
    assert f"$$\n{EQUATIONS[name].latex()}\n$$" in shown
    assert f"`{EQUATIONS[name].dotted_name}`" in shown
    formula, computed = re.findall(r"\*\*(.+?)\*\*", shown)
    assert formula == computed
    assert f"formula {formula}, function {computed}" in bundle["text/plain"]


def test_the_dotted_name_leads_to_the_function() -> None:
    for one in EQUATIONS.values():
        found: Any = __import__("glm_edu")
        for part in one.dotted_name.split(".")[1:]:
            found = getattr(found, part)
        assert (found.fget if isinstance(found, property) else found) is one.function


def test_terms_stand_in_the_order_in_which_they_were_written() -> None:
    inner = r"\sqrt{\frac{2}{\pi}} x \left(1 + 0.044715 x^{2}\right)"
    assert EQUATIONS["gelu_tanh"].latex() == (
        rf"\mathrm{{GELU}}(x) = 0.5 x \left(1 + \tanh{{\left({inner} \right)}}\right)"
    )


def test_an_equation_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match=r"no equation 'relu'.*gelu_tanh"):
        equation("relu")


BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(path.relative_to(BOOK).as_posix() for path in BOOK.rglob("*.ipynb") if "_build" not in path.parts)
SHOWN = re.compile(r"\bequation\(\\?\"(\w+)\\?\"\)")
TYPED = re.compile(r"\$\$|\\begin\{|^```+\s*\{math\}", re.MULTILINE)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_displayed_equations_come_from_the_registry(name: str) -> None:
    cells = json.loads((BOOK / name).read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            assert not TYPED.search(source), f"typed by hand: {source}"
        else:
            assert set(SHOWN.findall(source)) <= EQUATIONS.keys()


def test_every_equation_of_the_registry_is_on_a_page() -> None:
    shown = {name for page in NOTEBOOKS for name in SHOWN.findall((BOOK / page).read_text(encoding="utf-8"))}
    assert shown == EQUATIONS.keys()


def test_a_symbol_without_a_value_and_an_index_below_1_are_refused() -> None:
    x, i = sympy.IndexedBase("x"), sympy.Symbol("i")
    assert value(x[i], {"x": [5.0, 7.0], "i": 2}) == 7
    with pytest.raises(KeyError, match="i"):
        value(x[i], {"x": [5.0, 7.0]})
    with pytest.raises(IndexError, match="below 1"):
        value(x[i], {"x": [5.0, 7.0], "i": 0})
    with pytest.raises(KeyError, match="gamma"):
        value(sympy.gamma(i), {"i": 2})


@pytest.mark.parametrize("side", [Equation.formula, Equation.computed])
def test_inputs_that_leave_a_symbol_out_are_told(side: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="swiglu has no value for b; it needs a, b"):
        side(EQUATIONS["swiglu"], {"a": 1.0})


def test_mutations_reach_every_number_sign_and_operand() -> None:
    x, y = sympy.symbols("x y")
    expression = sympy.Add(sympy.Mul(2, x, evaluate=False), y, evaluate=False)
    assert {what for what, _ in mutations(expression)} == {
        "2*x dropped", "the sign of 2*x turned", "y dropped", "the sign of y turned", "2 dropped", "x dropped",
        "2 changed", "the sign of 2 turned",
    }  # fmt: skip

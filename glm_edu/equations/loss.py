"""The equation of the training loss."""

from collections.abc import Callable
from typing import Any

import torch
from sympy import IndexedBase, Integer, Sum, exp, log, symbols
from torch import Tensor

from glm_edu.equations.equation import Equation, apart, power, product, vector
from glm_edu.equations.evaluate import Inputs
from glm_edu.loss import IGNORED_LABEL, next_token_loss

i, t, m, v = symbols("i t m v", integer=True)
z, y = IndexedBase("z"), IndexedBase("y")


def _loss(function: Callable[..., Any], at: Inputs) -> Tensor:
    """A context of two tokens without labels, then the m tokens that count."""
    scores = vector(at["z"])  # m v
    junk = torch.full_like(scores[:1], 9.0)  # 1 v   logits that predict nothing which counts
    junk[0, 0] = -9.0
    labels = torch.tensor([[IGNORED_LABEL, IGNORED_LABEL, *(number - 1 for number in at["y"])]])  # b s
    return function(torch.cat([junk, scores, junk])[None], labels)


LOSS = (
    Equation(
        "infilling_loss",
        left=symbols("ell"),
        right=product(Integer(-1), apart(power(m, Integer(-1))), Sum(
            log(product(exp(z[t, y[t]]), power(Sum(exp(z[t, i]), (i, 1, v)), Integer(-1)))), (t, 1, m)
        )),
        function=next_token_loss,
        call=_loss,
        sample={"z": [[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]], "y": [1, 3], "m": 2, "v": 3},
        symbols="$m$ tokens have a label; $z_{t,i}$ is the logit of token $i$ of $v$ at the place that predicts the "
        "$t$-th of them, $y_t$ is the token that comes. Labels of -100 are not among the $m$.",
    ),
)  # fmt: skip

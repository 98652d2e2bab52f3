"""The equations of the book: each as an expression that is shown and evaluated, beside the function that computes it.

A theme a file. ``EQUATIONS`` holds all of them by name; ``glm_edu.page.equation`` shows one.
"""

from glm_edu.equations.activations import ACTIVATIONS
from glm_edu.equations.attention import ATTENTION
from glm_edu.equations.equation import Equation
from glm_edu.equations.loss import LOSS
from glm_edu.equations.norms import NORMS
from glm_edu.equations.quantization import QUANTIZATION
from glm_edu.equations.residual import RESIDUAL
from glm_edu.equations.rotary import ROTARY
from glm_edu.equations.sizes import SIZES

EQUATIONS: dict[str, Equation] = {
    equation.name: equation
    for theme in (ACTIVATIONS, NORMS, ROTARY, ATTENTION, RESIDUAL, SIZES, LOSS, QUANTIZATION)
    for equation in theme
}

__all__ = ["EQUATIONS", "Equation"]

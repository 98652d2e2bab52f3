"""The equation of quantized weights: the scale of a row."""

from sympy import Abs, IndexedBase, Integer, Symbol, symbols

from glm_edu.equations.equation import Equation, power, product, total, vector
from glm_edu.equations.evaluate import Largest
from glm_edu.quantization.weights import quantize_rows

i, n, bits = symbols("i n b", integer=True)
w = IndexedBase("w")
MINUS = Integer(-1)

QUANTIZATION = (
    Equation(
        "quantize_scale",
        left=Symbol("s"),
        right=product(
            Largest(Abs(w[i]), i, n),
            power(total(power(Integer(2), total(bits, MINUS)), MINUS), MINUS),
        ),
        function=quantize_rows,
        call=lambda function, at: function(vector([at["w"]]).float(), at["b"])[1],
        sample={"w": [0.5, -1.4, 0.7, 0.1], "n": 4, "b": 4},
        symbols="$w$ are the $n$ weights of one row, $b$ is the number of bits, 8 or 4.",
    ),
)

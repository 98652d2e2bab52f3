"""The exercises of chapter 17: predict what weights need, account for every tensor, mend what strict names miss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from glm_edu.exercises import NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers, run

Shapes = Mapping[str, tuple[int, ...]]
Lists = tuple[list[str], list[str], list[str]]
Thirds = Float[Tensor, "3 third h"]

# ---- 1. predict: the weights of ChatGLM2-6B, to the nearest GB ----

TABLES = "Only the linears of the blocks are quantized: two tables stay in float16."
WEIGHTS = {
    "float16": (12, (
        Slip("float32", "That is four bytes a number; float16 has two.", 25),
        Slip("one byte a number", "16 bits are two bytes.", 6),
        Slip("another generation", "That is ChatGLM-6B, whose vocabulary is twice as large.", 13),
    )),
    "int8": (7, (
        Slip("embedding and head as well", TABLES, 6),
        Slip("float16", "That is what float16 needs; int8 has one byte where float16 has two.", 12),
    )),
    "int4": (4, (
        Slip("embedding and head as well", TABLES, 3),
        Slip("a byte a number", "Two numbers of four bits share a byte.", 7),
        Slip("the tables twice", "The two tables are among the parameters already; they are not counted again.", 5),
    )),
}  # fmt: skip


def check_weights(float16: object, int8: object, int4: object) -> Verdict:
    """Exercise 1: GB (of a thousand million bytes) that the weights of ChatGLM2-6B take, to the nearest whole one."""
    told = ", ".join(f"{right} GB in {name}" for name, (right, _) in WEIGHTS.items()) + "."
    return judge_numbers(WEIGHTS, (float16, int8, int4), told)


# ---- 2. implement: every tensor accounted for ----


def account(expected: Shapes, found: Shapes) -> Lists:
    """Names that are missing, extra, and of the wrong shape."""
    wrong = [name for name in expected if name in found and found[name] != expected[name]]
    return [name for name in expected if name not in found], [name for name in found if name not in expected], wrong


def _lists(
    missing: Callable[[Lists], list[str]] = lambda of: of[0], extra: Callable[[Lists], list[str]] = lambda of: of[1],
    wrong: Callable[[Lists], list[str]] = lambda of: of[2],
) -> Answer:  # fmt: skip
    """A comparison that keeps its three lists, or changes one."""

    def answer(expected: Shapes, found: Shapes) -> Lists:
        right = account(expected, found)
        return missing(right), extra(right), wrong(right)

    return answer


def skipped(expected: Shapes, found: Shapes) -> Lists:
    """The comparison as it is handed over: what both sides know is loaded, all else is left out."""
    return [], [], []


def _same_size(expected: Shapes, found: Shapes) -> Lists:
    def numbers(shape: tuple[int, ...]) -> int:
        return torch.Size(shape).numel()

    missing, extra, wrong = account(expected, found)
    return missing, extra, [name for name in wrong if numbers(expected[name]) != numbers(found[name])]


ACCOUNTS = (
    Slip(NOT_YET, "unchanged, this finds nothing wrong with any file. Which names does only one side have?", skipped),
    Slip("missing is not told", "A tensor that the network needs and the file lacks keeps its random start.",
         _lists(missing=lambda of: [])),
    Slip("extra is not told", "A renamed tensor is missing under one name and extra under another: tell both.",
         _lists(extra=lambda of: [])),
    Slip("no shape is looked at", "Two tensors of one name may still have different shapes.",
         _lists(wrong=lambda of: [])),
    Slip("missing and extra have changed places", "Missing: the network has it, the file does not.",
         lambda expected, found: account(found, expected)),
    Slip("only the first of each", "One error that lists all is mended in one go.",
         _lists(*(lambda of, i=i: of[i][:1] for i in range(3)))),
    Slip("missing is of the wrong shape, too", "A tensor that is not there has no shape: tell it once.",
         _lists(wrong=lambda of: of[2] + of[0])),
    Slip("extra is of the wrong shape, too", "A tensor that nobody asked for has no shape to be right: tell it once.",
         _lists(wrong=lambda of: of[2] + of[1])),
    Slip("numbers are counted, not axes", "A matrix on its side holds as many numbers, in other places.", _same_size),
)  # fmt: skip

FILES: tuple[Try, ...] = (
    ({"embedding": (8, 4), "head": (8, 4)}, {"embedding": (8, 4), "head": (8, 4)}),
    ({"embedding": (8, 4), "norm": (4,), "head": (8, 4)}, {"embedding": (8, 4), "final_norm": (4,), "head": (4, 8)}),
    ({"a": (2,), "b": (3,), "c": (4,), "d": (5,)}, {"c": (5,), "d": (4,), "e": (2,), "f": (3,)}),
)


def check_account(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(expected, found)``, both name -> shape, gives the names missing, extra, of wrong shape."""
    results = run(answer, FILES)
    if isinstance(results, Verdict):
        return results
    if not all(_is_three_lists(result) for result in results):
        return Verdict(False, "not three lists", f"it returns {results[0]!r}; it should be three lists of names.")
    made = _sorted(results)
    if made == _sorted(account(*given) for given in FILES):
        return Verdict(True, "right", f"every tensor of {len(FILES)} files is accounted for.")
    for slip in ACCOUNTS:
        if made == _sorted(slip.wrong(*given) for given in FILES):
            return Verdict(False, slip.kind, slip.hint)
    return Verdict(False, "another mistake", _first_file(made))


def _is_three_lists(result: object) -> bool:
    return isinstance(result, tuple | list) and len(result) == 3 and all(
        isinstance(names, list | tuple | set) and all(isinstance(name, str) for name in names) for names in result
    )


def _sorted(results: Iterable[Any]) -> list[list[list[str]]]:
    return [[sorted(names) for names in lists] for lists in results]


def _first_file(made: list[list[list[str]]]) -> str:
    number = next(i for i, given in enumerate(FILES) if made[i] != _sorted([account(*given)])[0])
    expected, found = FILES[number]
    return f"of expected {expected} and found {found} you make {made[number]}."


# ---- 3. debug: right names, right shapes, noise ----


def split_per_head(fused: Float[Tensor, "rows h"], heads: int) -> Thirds:
    """Query, key and value of ChatGLM-6B: the rows of head 0's three, then head 1's, and so on."""
    return rearrange(fused, "(n three d) h -> three (n d) h", n=heads, three=3)


def reported_split(fused: Float[Tensor, "rows h"], heads: int) -> Thirds:
    """The first third, the second, the last: ChatGLM2-6B's file is cut at such places, and the shapes are right."""
    return rearrange(fused, "(three rows) h -> three rows h", three=3)


SPLITS = (
    Slip(NOT_YET, "unchanged, this is the code as handed over. Whose rows stand in the first third of the file?",
         reported_split),
    Slip("every third row", "The rows of one head's query lie side by side, d of them.",
         lambda fused, heads: rearrange(fused, "(rows three) h -> three rows h", three=3)),
    Slip("heads mixed", "Each third holds the right rows, and the heads in it are dealt out like cards.",
         lambda fused, heads: rearrange(fused, "(n three d) h -> three (d n) h", n=heads, three=3)),
    Slip("value, key, query", "A head's rows come as query, key, value.",
         lambda fused, heads: split_per_head(fused, heads).flip(0)),
    Slip("key and value have changed places", "Query is right. A head's rows come as query, key, value.",
         lambda fused, heads: split_per_head(fused, heads)[[0, 2, 1]]),
    Slip("n is taken for d", "heads counts the heads; the width of one follows from the rows.",
         lambda fused, heads: rearrange(fused, "(n three d) h -> three (n d) h", d=heads, three=3)),
    Slip("the first head alone", "That is head 0 again and again.",
         lambda fused, heads: split_per_head(fused[: len(fused) // heads], 1).repeat(1, heads, 1)),
)  # fmt: skip


def check_split(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(fused [3*n*d h], heads) -> [3 n*d h]``, query, key and value of a ChatGLM-6B file."""
    return judge(answer, split_per_head, [_fused(2, 3), _fused(4, 2)], SPLITS, _place)


def _fused(heads: int, width: int, hidden: int = 5) -> Try:
    """Every row tells whose it is."""
    rows = 3 * heads * width
    return torch.arange(float(rows * hidden)).view(rows, hidden), heads


def _place(given: Try, index: tuple[int, ...], result: Any, want: Any) -> str:
    what, row, _ = index
    width = given[0].shape[1]
    name = ("query", "key", "value")[what]
    return f"row {row} of {name} is row {result // width:.0f} of the file; it should be row {want // width:.0f}."

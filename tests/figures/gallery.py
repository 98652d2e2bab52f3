"""One figure of each kind, from tensors of a real tiny model where there is one: what the tests look at."""

from collections.abc import Iterator
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure as Plot

from glm_edu import ModelConfig, Transformer, record
from glm_edu.figures import (
    CacheGrid,
    Clocked,
    Figure,
    TrainedMap,
    attention_film,
    attention_map,
    blank_painter,
    cache_rounds,
    choices,
    clock_plane,
    drawing,
    effect_map,
    house_style,
    lens_table,
    mask_painter,
    module_trees,
    position_table,
    residual_norms,
    rotary_clocks,
    shape_flow,
    side_by_side,
    small_multiples,
    stream_norms,
    switchboard,
    token_strip,
)
from glm_edu.figures.cells import Cell, Table
from glm_edu.figures.tokens import Part, Token
from glm_edu.source_map import module_tree

TOKENS = [*"白日依山尽，", "[M]", "sop", *"黄河入海流"]
CONTEXT, LENGTH = 7, 13
HOSTILE = ["<script>alert(1)</script>", "</script>", "\"quoted'", "<!--", "a&b", "\n", "\u2028", "{q}", "`x`", "**b**"]


def poem() -> SimpleNamespace:
    """A tiny ChatGLM over the poem, and what it recorded."""
    torch.manual_seed(0)
    model = Transformer(ModelConfig.preset("tiny-chatglm")).eval()
    ids = torch.arange(6, 6 + LENGTH)[None]
    ids[0, CONTEXT - 1], ids[0, CONTEXT] = model.config.gmask_id, model.config.bos_id
    with torch.no_grad(), record(model) as seen:
        model(ids)
    return SimpleNamespace(model=model, ids=ids, seen=seen)


def sharp(heads: int = 4, length: int = LENGTH) -> torch.Tensor:
    """Attention that prefers something, unlike that of an untrained model."""
    torch.manual_seed(1)
    return (3 * torch.randn(heads, length, length)).softmax(-1)


def film() -> Figure:
    """Three steps of two heads, each sharper than the one before."""
    frames = [(step * torch.log(sharp(2))).softmax(-1) for step in (0.2, 0.5, 1.0)]
    said = [f"at {step} it says {step + 1}" for step in (0, 20, 40)]
    return attention_film(frames, [0, 20, 40], TOKENS, said, heads=["0.0", "0.1"], head=1, caption="**Notice**")


def planes() -> Figure:
    """Two prompts counted in three ways: a tower over the mask, a diagonal, and a heap."""

    def clocked(mark: int, position: list[int], block: list[int]) -> Clocked:
        tokens = ["a", "b", "[M]", "<sop>", "c"] if mark == 2 else ["[M]", "a", "b", "<sop>", "c"]
        return Clocked(tokens, torch.tensor([position, block] if block else [position]), context=3, mark=mark)

    return clock_plane(
        {
            "tower": [clocked(i, [0, 1, 2, i, i], [0, 0, 0, 1, 2]) for i in (0, 2)],
            "diagonal": [clocked(i, [0, 1, 2, 3, 4], [0, 0, 0, 1, 2]) for i in (0, 2)],
            "heap": [clocked(i, [0, 1, 2, i, i], []) for i in (0, 2)],
        },
        chosen="tower",
        at=1,
        caption="**Notice** `<sop>`.",
    )


def towers() -> Figure:
    """Two prompts counted in one way."""
    ways = planes().data["ways"]["tower"]
    prompts = [Clocked(way["tokens"], torch.tensor(way["positions"]), 3, way["parts"].index("mark")) for way in ways]
    return clock_plane({"tower": prompts}, chosen="tower")


def caches() -> Figure:
    """Two rounds of a chat, a prefix model beside a causal one."""
    first, then = torch.full((2, 4), 2), torch.tensor([[0, 0, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]])
    causal = torch.tensor([[0, 0, 0, 0, 2, 2]] * 2)
    rounds = {"1": (TOKENS[:4], first, first), "2": (TOKENS[:6], then, causal)}
    grids = {
        name: {"prefix": CacheGrid(tokens, a), "causal": CacheGrid(tokens, b, family="v2")}
        for name, (tokens, a, b) in rounds.items()
    }
    return cache_rounds(grids, legend="Round", chosen="2", caption="**Notice** block 0.")


def switches() -> Figure:
    """Three tiny models; the first two have a map."""
    models = {"v1": "tiny-chatglm", "v2": "tiny-chatglm2", "llama": "tiny-llama"}
    maps = {name: TrainedMap(sharp()[0], TOKENS, f"a map of {name}") for name in ("v1", "v2")}
    return switchboard(
        {name: ModelConfig.preset(preset) for name, preset in models.items()}, maps, caption="**Notice**"
    )


def lenses() -> dict[str, torch.Tensor]:
    """Two readings of three depths at three places: in every row of the first the strongest moves on by one."""
    strong = torch.eye(LENGTH)[:3] * 9  # s v
    return {"norm": torch.stack([strong.roll(i, 1) for i in range(3)]), "head alone": torch.stack([strong] * 3)}


def plot(power: float = 2, size: tuple[float, float] = (4, 2)) -> Plot:
    """What a chapter might draw: markers, a gap, a note, and a line that leaves the axes."""
    with plt.rc_context(house_style()):
        figure, axes = plt.subplots(figsize=size)
        axes.plot([0, 1, 2], [(i / 3) ** power for i in range(3)], label="first", marker="o")
        axes.plot([0, 1, 2], [1.5, float("nan"), 59.87654])
        axes.text(0.1, 0.5, "the second", color=axes.lines[1].get_color())
        axes.set(xlabel="depth", ylabel="norm", ylim=(0, 2), xticks=[0, 1, 2])
        axes.legend()
    return figure


def figures() -> dict[str, Figure]:
    """Every kind by name."""
    run = poem()
    seen = run.seen
    mask, positions = seen["mask"][0, 0], seen["position_ids"][0]
    norms = stream_norms(seen)
    return {
        "mask": mask_painter(mask, TOKENS, positions, mistakes=["sop_joins_prefix"], caption="**Notice** `sop`."),
        "padded": mask_painter(*padded(), context=4, pads=2),
        "attention": attention_map(sharp(), TOKENS, title="Block 0", caption="Head 0."),
        "film": film(),
        "positions": position_table(positions, TOKENS),
        "one clock": position_table(torch.arange(20)[None], [f"token{i}" for i in range(20)]),
        "shapes": shape_flow(seen.table()),
        "norms": residual_norms({"recorded": norms, "flat": torch.full_like(norms, 3.14159265)}),
        "blank": blank_painter("低头思故乡。", [(3, 2)], caption="**Notice** `label`."),
        "lens": lens_table(
            lenses(),
            ["embedding", "block 0", "block 1"],
            TOKENS[6:9],
            TOKENS,
            glosses={"山": "mountain"},
            chosen="head alone",
            legend="Reading",
            caption="**Notice** the last row.",
        ),
        "effects": effect_map(
            {"one": torch.linspace(-1, 1, 2 * LENGTH).view(2, LENGTH)},
            ["block 0", "block 1"],
            {"one": TOKENS},
            told="{row}, at {column}: {value} %",
            unit=0.01,
        ),
        "cache": caches(),
        "clocks": clocks(),
        "planes": planes(),
        "towers": towers(),
        "switches": switches(),
        "beside": side_by_side(
            {name: Table(["in"], ["one", "two"], [[Cell(name, 0.5, "told", "x"), Cell("2", 0, "")]]) for name in "ab"},
            legend="Reading",
            chosen="b",
            alt="A row of two columns, once with a and once with b.",
        ),
        "multiples": small_multiples(
            {
                name: Table(["in"], list("abc"), [[Cell("1", 0.5, "told"), Cell("0", 0, ""), Cell("", -1, "")]])
                for name in ("as written", "mended")
            },
            told="Two rows of three cells.",
            caption="**Notice** c.",
        ),
        "trees": module_trees(
            {name: module_tree(ModelConfig.preset(name)) for name in ("tiny-chatglm", "tiny-chatglm2")},
            legend="Model",
            chosen="tiny-chatglm2",
            caption="**Notice** the head.",
        ),
        "strip": token_strip(strips(), legend="Model", chosen="b", then="the answer", caption="**Notice** `sop`."),
        "drawing": drawing(
            plot(size=(8, 2)), alt="Two curves: the first grows, the second has a gap.", caption="**Look**"
        ),
        "choices": choices(
            {f"{power} in all": plot(power) for power in (1, 2, 3)},
            legend="power",
            chosen="2 in all",
            alt="Curves for three powers: the larger the power, the lower the first curve.",
        ),
    }


def clocks() -> Figure:
    """Four pairs that turn, and a rest that does not."""
    torch.manual_seed(3)
    query, key = torch.randn(2, 4, 2)
    turns = torch.tensor([1.0, 0.1, 0.01, 0.001])
    return rotary_clocks(
        query, key, turns, rest=-0.5, distances=(2, 5), shifts=60, farthest=12, caption="**Move** both."
    )


def strips() -> dict[str, list[Part]]:
    """Two rows: one ends with special ids, the other begins with them."""
    said = Part("user", "user", [Token(5, "▁"), Token(74874, "你好")])
    marks = Part("special", "marks", [Token(130001, "[gMASK]", True), Token(130004, "<sop>", True)])
    return {"a": [said, marks], "b": [marks, Part("header", "header", [Token(13, "<0x0A>")]), said]}


def padded() -> tuple[torch.Tensor, list[str], torch.Tensor]:
    """Two pads, two characters, sop and four more: mask, tokens, positions, written out."""
    real = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 1], dtype=torch.bool)
    mask = torch.ones(9, 9).tril().bool()
    mask[:4, :4] = True
    tokens = ["<pad>", "<pad>", "你", "[M]", "sop", "a", "b", "c", "d"]
    return mask & real & real[:, None], tokens, torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 2, 3, 4, 5]])


class Markup(HTMLParser):
    """What a browser would make of the HTML: elements with their attributes, and the text of each kind."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self.open.append(tag)
        self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of this kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def numbers(data: object) -> Iterator[float]:
    """Every number in nested data."""
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, list):
        for item in data:
            yield from numbers(item)
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield data

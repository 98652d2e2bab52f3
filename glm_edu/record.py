"""Look inside a forward pass: record, replace, or stop at any named tensor.

    with record(model) as seen:
        model(input_ids)
    seen["blocks.0.attention.probs"]          # [batch, heads, query, key]

Recording the scores or the probabilities of a layer makes that layer take the eager attention path, the one that has
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType

from torch import Tensor

from glm_edu.errors import RecordError
from glm_edu.model.tap import Tap
from glm_edu.model.transformer import Transformer

Replacement = Tensor | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One line of ``Seen.table()``."""

    name: str
    letters: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str


def _row(tap: Tap, tensor: Tensor) -> Row:
    return Row(tap.name, tap.letters, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tap.meaning)


class Seen(Mapping[str, Tensor]):
    """The recorded tensors of the last forward pass, detached, in the order in which they were made."""

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._taps: dict[str, Tap] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise RecordError(f"{name!r} was not recorded. Recorded: {', '.join(self._tensors) or 'nothing yet'}.")
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def keep(self, tap: Tap, tensor: Tensor) -> None:
        """Called by the recorder as a tensor passes ``tap``. A copy: a cache writes on where its keys stood."""
        self._tensors[tap.name], self._taps[tap.name] = tensor.detach().clone(), tap

    def table(self) -> list[Row]:
        """Name, axes in letters, sizes, dtype and meaning of each recorded tensor, in forward order."""
        return [_row(self._taps[name], tensor) for name, tensor in self.items()]


class _StopForward(Exception):
    """Ends a forward pass at the tensor that was asked for; never leaves the ``with`` block of the record it names."""


def taps(model: Transformer) -> dict[str, Tap]:
    """Every named place of ``model``. Without a final norm there is no ``final_norm``."""
    found = [tap for module in model.modules() for tap in getattr(module, "taps", {}).values()]
    return {tap.name: tap for tap in found if tap.name != "final_norm" or model.config.final_norm}


class record:  # lower case, because it reads as a verb: with record(model) as seen
    """Record tensors of every forward pass inside the ``with`` block.

    Args:
        model: the network to watch.
        names: names or patterns (``"blocks.*.output"``); None records everything.
        replace: name or pattern -> a tensor, or a function of the tensor; what follows is computed from it.
        stop_at: end the pass, and the ``with`` block, once this tensor is made; the layers after it are not computed.

    Raises:
        RecordError: a name or pattern that fits no tensor of this model, or a replacement of another shape.
    """

    def __init__(
        self, model: Transformer, names: str | Iterable[str] | None = None,
        replace: Mapping[str, Replacement] | None = None, stop_at: str | None = None,
    ) -> None:  # fmt: skip
        self._all = taps(model)
        wanted = ["*"] if names is None else [names] if isinstance(names, str) else list(names)
        self._record = {n for pattern in wanted for n in self._match(pattern)}
        self._replace = {n: new for pattern, new in (replace or {}).items() for n in self._match(pattern)}
        self._stop = set(self._match(stop_at)) if stop_at else set()
        self._seen = Seen()
        self._active = False

    def _match(self, pattern: str) -> list[str]:
        if found := [name for name in self._all if fnmatchcase(name, pattern)]:
            return found
        layers = sum(name.endswith(".middle") for name in self._all)
        names = ", ".join(name for name in self._all if not name.startswith("blocks.") or name.startswith("blocks.0."))
        raise RecordError(f"No tensor is called {pattern!r} in this model of {layers} layers. Names: {names}.")

    def __enter__(self) -> Seen:
        if self._active:
            raise RecordError("This recording runs already; make another: with record(model) as seen.")
        self._active = True
        for name in self._record | self._replace.keys() | self._stop:
            self._all[name].watchers += (self._watch,)
        return self._seen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._active = False
        for tap in self._all.values():
            tap.watchers = tuple(watch for watch in tap.watchers if watch != self._watch)
        return isinstance(error, _StopForward) and error.args == (self,)

    def _watch(self, tap: Tap, tensor: Tensor) -> Tensor:
        if tap.name in self._replace:
            tensor = self._replaced(tap, tensor)
        if tap.name in self._record or tap.name in self._stop:
            self._seen.keep(tap, tensor)
        if tap.name in self._stop:
            raise _StopForward(self)
        return tensor

    def _replaced(self, tap: Tap, tensor: Tensor) -> Tensor:
        new = self._replace[tap.name]
        new = new(tensor.clone()) if callable(new) else new  # a clone: what changes it in place changes nothing else
        if not isinstance(new, Tensor) or new.shape != tensor.shape:
            given = list(new.shape) if isinstance(new, Tensor) else type(new).__name__
            raise RecordError(f"The replacement of {tap.name} should be a tensor {list(tensor.shape)}, not {given}.")
        return new.to(tensor.device, tensor.dtype)

"""Shapes checked at run time, each annotation once a call: jaxtyping's import hook with less work in its decorator.

The decorator of jaxtyping 0.3 binds the signature of every call and looks at its arguments twice, before the call and
again with what it returns. Here beartype looks at each of them once, within one scope of axis names, so the same
mismatches are found. What this cannot take (generators, dataclasses, names that only a type checker imports) is left
to jaxtyping's own decorator.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import AbstractArray, jaxtyped

# An int is a float here, as it is for every type checker (PEP 484): temperature=1 is right.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"


def install(package: str) -> None:
    """Check the annotations of ``package``, which must not be imported yet."""
    jaxtyping.jaxtyped = checked_once  # by this name the hook decorates
    jaxtyping.install_import_hook(package, CHECKER)


def checked_once(fn: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """A decorator in the place of ``jaxtyped(typechecker=...)``."""
    if fn is None:
        return functools.partial(checked_once, typechecker=typechecker)
    if not inspect.isfunction(fn) or inspect.isgeneratorfunction(fn):
        return jaxtyped(fn, typechecker=typechecker)
    checked: Callable[..., Any] | None = None

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        if jaxtyping.config.jaxtyping_disable:
            return fn(*args, **kwargs)
        if checked is None:  # at the first call, when all names of its module are there
            checked = _checked(fn, typechecker)
        try:
            return checked(*args, **kwargs)
        except BeartypeCallHintViolation as error:  # the same error from whichever decorator
            raise jaxtyping.TypeCheckError(f"Type-check error: {error}") from None

    return call


def _checked(fn: Any, typechecker: Callable[[Any], Any]) -> Callable[..., Any]:
    try:
        hints = get_type_hints(fn)
    except NameError:
        return jaxtyped(fn, typechecker=typechecker)
    inner, axes = typechecker(fn), [text for hint in hints.values() for text in _axes(hint)]
    if any("{" in text for text in axes):  # an axis named after the value of an argument: the call is bound
        return jaxtyped(inner, typechecker=None)
    return _scoped(inner) if axes else inner


def _scoped(inner: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with jaxtyped("context"):
            return inner(*args, **kwargs)

    return call


def _axes(hint: Any) -> Iterator[str]:
    """The axes, as they are written, of every array in an annotation."""
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        yield hint.dim_str
    for part in get_args(hint):
        yield from _axes(part)

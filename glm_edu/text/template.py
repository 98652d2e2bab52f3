"""A chat as the directory's own template renders it: ``chat_template.jinja``, or ``chat_template`` in
``tokenizer_config.json``.

A template is a small program that came with the weights. It is rendered as transformers does it, in jinja2's immutable
sandbox: it can put texts together, and reaches no file, no attribute with an underscore, and no Python.

Official: transformers 5.23.0, utils/chat_template_utils.py.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glm_edu.errors import CheckpointError, InputError
from glm_edu.text.directory import read_json
from glm_edu.text.messages import Message


def read_template(directory: Path) -> str | None:
    """The source of a directory's chat template; None where it has none.

    Raises:
        CheckpointError: it is there and is no text.
    """
    if (file := directory / "chat_template.jinja").is_file():
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{file} is no UTF-8 ({error}). Fetch it again.") from error
    source = read_json(directory, "tokenizer_config.json").get("chat_template")
    if isinstance(source, list):  # several by name
        by_name = {entry.get("name"): entry.get("template") for entry in source if isinstance(entry, dict)}
        source = by_name.get("default")
    if source is not None and not isinstance(source, str):
        raise CheckpointError(f"{directory / 'tokenizer_config.json'}: chat_template should be a text.")
    return source


def render(source: str, messages: Sequence[Message], tokens: dict[str, str]) -> str:
    """The prompt that a template makes of ``messages``, ending where the assistant begins.

    Args:
        tokens: ``bos_token``, ``eos_token`` and the like, for templates that name them.

    Raises:
        CheckpointError: the template cannot be read.
        InputError: it refuses the messages; its own words are in the error.
    """
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
    tools = next((message["tools"] for message in messages if "tools" in message), None)
    try:
        return environment.from_string(source).render(
            messages=[dict(message) for message in messages], tools=tools, documents=None, add_generation_prompt=True,
            **tokens,
        )  # fmt: skip
    except InputError:
        raise
    except (jinja2.TemplateSyntaxError, SecurityError) as error:
        raise CheckpointError(f"The chat template of this directory cannot be rendered safely: {error}.") from error
    except Exception as error:  # a template can divide by zero
        raise InputError(f"The chat template of this directory fails on these messages: {error}.") from error


def _refuse(message: str) -> None:
    raise InputError(f"The chat template of this directory refuses these messages: {message}")


def _now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **options)

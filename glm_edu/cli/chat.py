"""``glm-edu chat``: talk to a model, or ask it one thing.

On a terminal it is a conversation; with ``--prompt``, or with a question on stdin, there is one answer on stdout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from glm_edu.cli.options import Parts, add_loading, add_model, add_part
from glm_edu.errors import GLMError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from glm_edu.text.messages import Message

_EXAMPLES = """\
  glm-edu chat smollm2-135m
  glm-edu chat smollm2-135m --prompt "Why is the sky blue?" --seed 0
  echo "Translate to French: good morning" | glm-edu chat smollm2-135m
  glm-edu chat ./chatglm3-6b --device cuda --dtype float16
  glm-edu chat chatglm2-6b --quantize int4 --temperature 0"""
_HELP = "Enter sends. Ctrl-C stops an answer. clear begins anew; exit or Ctrl-D ends."


def add_to(parts: Parts) -> None:
    part = add_part(
        parts, "chat", "talk to a model",
        f"Talk to a model. {_HELP} With --prompt, or with a question on stdin, there is one answer, and then the end.",
        _EXAMPLES,
    )  # fmt: skip
    add_model(part)
    part.add_argument("--prompt", metavar="TEXT", help="answer this and end")
    part.add_argument("--system", metavar="TEXT", help="what the model is told about its task before you speak")
    add_loading(part)
    part.add_argument("--max-new-tokens", type=int, metavar="N", help="at most so many tokens an answer")
    part.add_argument("--temperature", type=float, help="0: always the likeliest token (default: the official one)")
    part.add_argument("--top-p", type=float, help="sample among the likeliest that reach this probability together")
    part.add_argument("--top-k", type=int, help="sample among so many of the likeliest; 0: all")
    part.add_argument("--seed", type=int, help="the same answers again")
    part.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Chat until the user has had enough."""
    once = given.prompt if given.prompt is not None else None if sys.stdin.isatty() else sys.stdin.read().strip()
    if once == "":
        raise InputError("There is nothing to answer: the prompt is empty.")
    conversation = Conversation(_answering(given), given.system)
    if once is not None:
        conversation.ask(once)
        return 0
    print(f"{given.model} is ready. {_HELP}", file=sys.stderr)
    while (text := _read()) is not None:
        if text == "clear":
            conversation.messages = conversation.messages[: conversation.opening]
        elif text:
            conversation.ask_or_say_why_not(text)
    return 0


class Conversation:
    """What was said so far.

    Args:
        answer: messages -> the pieces of the answer.
        system: what is said before the user speaks.
    """

    def __init__(self, answer: Callable[[list[Message]], Iterator[str]], system: str | None = None) -> None:
        self.answer = answer
        self.messages: list[Message] = [{"role": "system", "content": system}] if system else []
        self.opening = len(self.messages)

    def ask(self, text: str) -> None:
        """Print the answer as it is made, and remember both. If there is no answer, the question is forgotten too."""
        asked: list[Message] = [*self.messages, {"role": "user", "content": text}]
        said = ""
        try:
            for piece in self.answer(asked):
                said += piece
                print(piece, end="", flush=True)
        finally:
            print(flush=True)
            if said:
                self.messages = [*asked, {"role": "assistant", "content": said}]

    def ask_or_say_why_not(self, text: str) -> None:
        """``ask``, in a conversation that goes on after Ctrl-C and after an error."""
        try:
            self.ask(text)
        except KeyboardInterrupt:
            print("(stopped)", file=sys.stderr)
        except GLMError as error:
            print(f"error: {error}", file=sys.stderr)


def _answering(given: argparse.Namespace) -> Callable[[list[Message]], Iterator[str]]:
    """Load what is needed; a function from messages to the pieces of the answer."""
    import torch

    from glm_edu.model.transformer import Transformer
    from glm_edu.text.chat import chat
    from glm_edu.text.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(given.model, given.revision)
    model = Transformer.from_pretrained(given.model, given.dtype, given.device, given.revision, given.quantize)
    generator = torch.Generator(given.device)
    generator.seed() if given.seed is None else generator.manual_seed(given.seed)
    return lambda messages: chat(
        model, tokenizer, messages, True, given.max_new_tokens, given.temperature, given.top_p, given.top_k, generator
    )


def _read() -> str | None:
    """A line of the user's; None: enough. Ctrl-C empties the line."""
    with suppress(ImportError):
        import readline  # noqa: F401 (the arrow keys then work in input)
    try:
        text = input("> ").strip()
    except EOFError:
        print(file=sys.stderr)
        return None
    except KeyboardInterrupt:
        print("\n(exit or Ctrl-D ends)", file=sys.stderr)
        return ""
    return None if text == "exit" else text

"""The exercises of chapter 1: count the ids of a chat, write a prompt of ChatGLM-6B, mend a row of ChatGLM3-6B."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from glm_edu.exercises import NOT_YET, Answer, Slip, Verdict, judge_numbers, run
from glm_edu.parity.tokens import made_tokenizer
from glm_edu.text.chatglm import ChatGLMTokenizer
from glm_edu.text.chatglm2 import ChatGLM3Tokenizer
from glm_edu.text.messages import Message

History = Sequence[tuple[str, str]]

# ---- 1. predict: the ids of a chat in the third generation ----

QUESTIONS, CONTENT = 10, 2  # ten questions and nine answers, each of two ids
MESSAGES = 2 * QUESTIONS - 1
SPECIAL, ALL = 2 + MESSAGES + 1, 2 + MESSAGES * (1 + 2 + CONTENT) + 1


def _around(kind: str, hint: str, special: int, every: int) -> tuple[Slip, Slip]:
    """One slip and the two counts that it makes."""
    return Slip(kind, hint, special), Slip(kind, hint, every)


SLIPS = (
    _around("the last role is missing", "Whose turn is it at the end of the row?", SPECIAL - 1, ALL - 1),
    _around("the first two are missing", "What stands in front of every row?", SPECIAL - 2, ALL - 2),
    _around("the answers are missing", "An answer that was given is a message too, with a role token of its own.",
            2 + QUESTIONS + 1, 2 + QUESTIONS * (3 + CONTENT) + 1),
)  # fmt: skip
MORE = (
    Slip("one id a message is missing", "Which ids does the header line have when it is encoded alone?",
         ALL - MESSAGES),
    Slip("the headers are missing", "Between a role token and its content stands a line.", ALL - 2 * MESSAGES),
)  # fmt: skip
COUNTS = {
    "special": (SPECIAL, [first for first, _ in SLIPS]),
    "all": (ALL, [*(second for _, second in SLIPS), *MORE]),
}


def check_counts(special: object, every: object) -> Verdict:
    """Exercise 1: special ids, and all ids, of ten questions and nine answers."""
    return judge_numbers(COUNTS, (special, every), f"{SPECIAL} and {ALL}.")


# ---- 2. implement: the prompt of ChatGLM-6B ----

CHATS: tuple[tuple[list[tuple[str, str]], str], ...] = (
    ([], "你好"), ([("你好", "你好！")], "1+1="), ([("a", "b"), ("c\n", "d")], "e"),
)  # fmt: skip


def prompt_text(history: History, query: str) -> str:
    """The text that ChatGLM-6B's chat encodes: the package's own, with characters for pieces."""
    said = [(("user", asked), ("assistant", answer)) for asked, answer in history]
    turns = [*(turn for pair in said for turn in pair), ("user", query)]
    messages = [{"role": role, "content": content} for role, content in turns]
    characters = SimpleNamespace(encode=lambda text: [ord(character) for character in text])
    return "".join(map(chr, ChatGLMTokenizer.encode_chat(cast(ChatGLMTokenizer, characters), messages)))


def _rounds(
    first: int = 0, line: str = "\n", colon: str = "：", after: str = "\n", last: str = "答：", alone: bool = True
) -> Callable[[History, str], str]:
    """A prompt in rounds, with any of its parts exchanged."""

    def wrong(history: History, query: str) -> str:
        if alone and not history:
            return query
        turns = [f"{q}{line}答{colon}{a}{after}" for q, a in history] + [f"{query}{line}{last}"]
        return "".join(f"[Round {i}]{line}问{colon}{turn}" for i, turn in enumerate(turns, first))

    return wrong


PROMPTS = (
    Slip("rounds from 1", "The first generation counts its rounds from another number.", _rounds(first=1)),
    Slip("a header on the first question", "What does the model get when there is no history?", _rounds(alone=False)),
    Slip("that is ChatGLM2-6B's prompt", "Blank lines, and a round for the first question, came with the second "
         "generation.", _rounds(1, "\n\n", after="\n\n", alone=False)),
    Slip("blank lines", "Count the newlines of the strip of ChatGLM-6B.", _rounds(line="\n\n", after="\n\n")),
    Slip("the narrow colon", "The colon of the format is the wide one; the tokenizer narrows it later.",
         _rounds(colon=":", last="答:")),
    Slip("nobody is asked to answer", "How does the text end, so that an answer comes next?", _rounds(last="")),
    Slip("answers run into the next round", "A round begins on a line of its own.", _rounds(after="")),
    Slip("special tokens in the text", "The tokenizer adds their ids. Written out, [gMASK] is characters like others.",
         lambda history, query: prompt_text(history, query) + "[gMASK]<sop>"),
    Slip("the history is left out", "What was said before belongs to the prompt.", lambda history, query: query),
)  # fmt: skip


def check_prompt(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(history, query) -> str``, the prompt of ChatGLM-6B; history is pairs of texts."""
    return _judge(answer, prompt_text, CHATS, PROMPTS, str, "a text")


# ---- 3. debug: a row of ChatGLM3-6B ----

ASKED: list[Message] = [{"role": "user", "content": "你好"}]
ROWS: tuple[tuple[list[Message]], ...] = (
    (ASKED,),
    ([*ASKED, {"role": "assistant", "content": "你好！"}, {"role": "user", "content": "1+1="}],),
    ([{"role": "system", "content": "1"}, *ASKED],),
)


def _third() -> ChatGLM3Tokenizer:
    return cast(ChatGLM3Tokenizer, made_tokenizer("chatglm3-6b"))


def _encode(text: str) -> list[int]:
    return _third().encode(text, add_special_tokens=False)


def _ids() -> dict[str, int]:
    return {**_third().special_ids, "</s>": _third().eos_id}


def _row(
    body: Callable[[str], list[int]], end: Sequence[str] = ("<|assistant|>",), front: Sequence[str] = ("[gMASK]", "sop")
) -> Callable[[Sequence[Message]], list[int]]:
    """A row with any of its parts exchanged."""

    def wrong(messages: Sequence[Message]) -> list[int]:
        ids = _ids()
        said = [i for m in messages for i in (ids[f"<|{m['role']}|>"], *body(m["content"]))]
        return [*(ids[name] for name in front), *said, *(ids[name] for name in end)]

    return wrong


def _one_go(content: str) -> list[int]:
    return _encode("\n" + content)


def _apart(content: str) -> list[int]:
    return _encode("\n") + _encode(content)


MENDS = (
    Slip(NOT_YET, "unchanged, this is the code as handed over. Compare its row with the strip of ChatGLM3-6B.",
         _row(_one_go, ("</s>",))),
    Slip("header and content in one go", "The end is right. Which ids does the content have when it is encoded alone?",
         _row(_one_go)),
    Slip("the answer is over before it begins", "The messages are right. The last id says that somebody has finished.",
         _row(_apart, ("</s>",))),
    Slip("the last role is missing", "The messages are right. Who speaks next?", _row(_apart, ())),
    Slip("both ends", "The role that speaks next stands there, and beside it the end of an answer.",
         _row(_apart, ("<|assistant|>", "</s>"))),
    Slip("the header line is missing", "Behind a role token stands a line, and it may be empty.", _row(_encode)),
    Slip("the header behind the content", "The header line stands before the content.",
         _row(lambda content: _encode(content) + _encode("\n"))),
    Slip("the place of ChatGLM-6B", "[gMASK] and sop stand in front since the second generation.",
         _row(_apart, ("<|assistant|>", "[gMASK]", "sop"), ())),
    Slip("an open header", "A header line is opened for the answer, too. The model writes that one itself.",
         lambda messages: _row(_apart)(messages) + _encode("\n")),
)  # fmt: skip


def check_row(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(messages, encode, ids) -> list``, the row of ids that ChatGLM3-6B is given."""
    return _judge(lambda messages: answer(messages, _encode, _ids()), _third().encode_chat, ROWS, MENDS, list, "a list")


def _judge(
    answer: Answer, right: Answer, tries: Sequence[tuple[Any, ...]], slips: Sequence[Slip], kind: type, name: str
) -> Verdict:
    """The verdict on a function that returns a text, or a list of ids."""
    results, wanted = run(answer, tries), [right(*given) for given in tries]
    if isinstance(results, Verdict):
        return results
    if wrong := [type(result).__name__ for result in results if not isinstance(result, kind)]:
        return Verdict(False, f"not {name}", f"the function returns a {wrong[0]}.")
    if odd := [type(i).__name__ for result in results for i in result if not isinstance(i, str | int)]:
        return Verdict(False, "not an id", f"the function returns {name} with a {odd[0]} in it.")
    if results == wanted:
        return Verdict(True, "right", f"equal to the package's own on {len(tries)} chats.")
    for slip in slips:
        if results == [slip.wrong(*given) for given in tries]:
            return Verdict(False, slip.kind, slip.hint)
    number = next(i for i, pair in enumerate(zip(results, wanted, strict=True)) if pair[0] != pair[1])
    return Verdict(False, "another mistake", _first(results[number], wanted[number], number + 1))


def _first(got: Any, wanted: Any, number: int) -> str:
    """Where two sequences part."""
    at = next((i for i, pair in enumerate(zip(got, wanted, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return f"chat {number}: yours has {len(got)} entries, and {len(wanted)} were expected; up to there they agree."
    return f"chat {number}: the first that differs is number {at}, {got[at]!r}; expected was {wanted[at]!r}."

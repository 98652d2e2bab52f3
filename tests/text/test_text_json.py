"""A ``tokenizer.json`` and the files beside it, on a tokenizer made here; SmolLM2's is tested in tests/smollm2.

Mutations that must fail here: special tokens added to a rendered chat; tokenizer_config.json's template before the
.jinja file; a template outside the sandbox; greedy where generation_config.json samples; one end id forgotten.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from glm_edu import load_tokenizer
from glm_edu.errors import CheckpointError, CheckpointNotFoundError, InputError
from glm_edu.text import Sampling
from glm_edu.text import Tokenizer as Ours
from glm_edu.text.json_file import JsonTokenizer

HELLO = [{"role": "user", "content": "你好"}]
CHATML = """{% for message in messages %}
<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A checkpoint directory with a tokenizer of single bytes, which sets <end> before a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    tokenizer.post_processor = processors.TemplateProcessing("<end> $A", None, [("<end>", 256)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("text", ["a", "The white sun", "白日依山尽，", " two  blanks\n\ttab", "😀"])
def test_text_comes_back(directory: Path, text: str) -> None:
    tokenizer = load_tokenizer(directory)
    ids = tokenizer.encode(text)
    assert ids[0] == 256 and tokenizer.encode(text, add_special_tokens=False) == ids[1:]
    assert len(ids) == 1 + len(text.encode())  # one id a byte: nothing was merged or dropped
    assert tokenizer.decode(ids) == text


def test_a_special_token_that_the_file_lacks_is_found_at_once(directory: Path) -> None:
    official = json.loads((directory / "tokenizer.json").read_text())
    official["post_processor"]["special_tokens"] = {}
    (directory / "tokenizer.json").write_text(json.dumps(official))
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json that can be read: no entry found"):
        load_tokenizer(directory)


def test_a_length_that_the_file_carries_cuts_nothing(directory: Path) -> None:
    library = Tokenizer.from_file(str(directory / "tokenizer.json"))
    library.enable_truncation(4)
    library.enable_padding(length=9)
    library.save(str(directory / "tokenizer.json"))
    assert len(load_tokenizer(directory).encode("sixsix")) == 7


def test_special_tokens_leave_no_text(directory: Path) -> None:
    tokenizer = load_tokenizer(str(directory))
    ids = tokenizer.encode("a<end>")
    assert ids == [*tokenizer.encode("a"), 256]
    assert tokenizer.decode(ids) == "a"


def test_encode_needs_a_text(directory: Path) -> None:
    with pytest.raises(InputError, match="at least one character"):
        load_tokenizer(directory).encode("")
    with pytest.raises(InputError, match="half of a surrogate pair, at 1"):
        load_tokenizer(directory).encode("a\ud800")


def test_unknown_ids_are_refused(directory: Path) -> None:
    with pytest.raises(InputError, match="no token 257; ids run from 0 to 256"):
        load_tokenizer(directory).decode([1, 257])


def test_a_tokenizer_json_comes_before_a_list_of_characters(directory: Path) -> None:
    (directory / "vocab.txt").write_text("<unk>\n")
    assert isinstance(load_tokenizer(directory), JsonTokenizer)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"has no tokenizer\.json, .*ice_text\.model \(and no vocab"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="Fetch it again"):
        load_tokenizer(tmp_path)


# chats, as the directory says


def write(directory: Path, **settings: Any) -> Ours:
    """The tokenizer of ``directory`` with these settings in its tokenizer_config.json."""
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return load_tokenizer(directory)


def test_a_chat_is_what_the_template_renders(directory: Path) -> None:
    tokenizer = write(directory, chat_template=CHATML)
    ids = tokenizer.encode_chat([{"role": "system", "content": "a"}, *HELLO])
    expected = "<|im_start|>system\na<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"
    assert ids == list(tokenizer.encode(expected, add_special_tokens=False))
    assert isinstance(tokenizer, Ours)


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("{{ eos_token }}{{ bos_token }}", "!<s>"),  # as a text, and as an object with a content
        ("{{ messages[0].content | tojson }}", '"你好"'),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{{ (strftime_now('%Y') | int) > 2000 }}", "True"),
        ("{{ tools }}", "[1]"),
    ],
)
def test_a_template_has_what_transformers_gives_it(directory: Path, source: str, rendered: str) -> None:
    tokenizer = write(directory, chat_template=source, eos_token="!", bos_token={"content": "<s>"})
    assert tokenizer.decode(tokenizer.encode_chat([{**HELLO[0], "tools": [1]}])) == rendered


def test_the_file_of_its_own_wins_and_default_is_taken_of_several(directory: Path) -> None:
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    tokenizer = write(directory, chat_template=several)
    assert tokenizer.decode(tokenizer.encode_chat(HELLO)) == "plain"
    (directory / "chat_template.jinja").write_text("file", encoding="utf-8")
    tokenizer = load_tokenizer(directory)
    assert tokenizer.decode(tokenizer.encode_chat(HELLO)) == "file"


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("{{ ''.__class__.__mro__ }}", CheckpointError, "cannot be rendered safely"),
        ("{{ messages.append(1) }}", CheckpointError, "cannot be rendered safely"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", InputError, "fails on these messages: Range too big"),
        ("{% if %}", CheckpointError, "cannot be rendered safely"),
        ("{{ raise_exception('roles must alternate') }}", InputError, "refuses these messages: roles must alternate"),
        ("{{ 1 / 0 }}", InputError, "fails on these messages: division by zero"),
    ],
)
def test_a_template_cannot_do_more_than_put_a_text_together(
    directory: Path, source: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        write(directory, chat_template=source).encode_chat(HELLO)


def test_a_model_without_a_template_is_not_for_chats(directory: Path) -> None:
    with pytest.raises(InputError, match=r"has no chat template.*Use encode and generate"):
        load_tokenizer(directory).encode_chat(HELLO)
    with pytest.raises(InputError, match="nothing to answer"):
        write(directory, chat_template=CHATML).encode_chat([{"role": "user", "content": ""}])


def test_all_ends_that_the_directory_names_stop_an_answer(directory: Path) -> None:
    assert load_tokenizer(directory).stop_ids == ()
    (directory / "generation_config.json").write_text('{"eos_token_id": [3, 7]}')
    (directory / "config.json").write_text('{"eos_token_id": 7}')
    assert write(directory, eos_token="<end>").stop_ids == (3, 7, 256)
    (directory / "config.json").write_text('{"eos_token_id": "</s>"}')
    with pytest.raises(CheckpointError, match="eos_token_id='</s>' should hold whole numbers"):
        load_tokenizer(directory)


@pytest.mark.parametrize(
    ("official", "sampling"),
    [
        ({"temperature": 0.6}, Sampling()),  # do_sample is off by default: the rest is not looked at
        ({"do_sample": True}, Sampling(1.0, 1.0, 50)),
        (
            {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 5, "max_length": 99},
            Sampling(0.8, 0.9, 5, 99),
        ),
    ],
)
def test_sampling_is_what_generation_config_says(directory: Path, official: dict, sampling: Sampling) -> None:
    (directory / "generation_config.json").write_text(json.dumps(official))
    assert load_tokenizer(directory).sampling == sampling


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("generation_config.json", '{"top_p": "all"}', "top_p='all' should be a number"),
        ("generation_config.json", "[]", "should hold an object, not a list"),
        ("tokenizer_config.json", "{", "is not valid JSON"),
        ("tokenizer_config.json", '{"chat_template": 3}', "chat_template should be a text"),
    ],
)
def test_a_broken_file_beside_it_is_named(directory: Path, name: str, content: str, said: str) -> None:
    (directory / name).write_text(content)
    with pytest.raises(CheckpointError, match=rf"{name.replace('.', '[.]')}.*{said}"):
        load_tokenizer(directory)


def test_rows_are_padded_on_the_left(directory: Path) -> None:
    padded = write(directory, pad_token="<end>").pad([[1], [2, 3]])
    assert padded.input_ids.tolist() == [[256, 1], [2, 3]]
    assert padded.attention_mask.tolist() == [[0, 1], [1, 1]] and padded.position_ids.tolist() == [[0, 0], [0, 1]]


def test_an_answer_with_a_header_loses_it(directory: Path) -> None:
    library = Tokenizer.from_file(str(directory / "tokenizer.json"))
    library.add_special_tokens(["[gMASK]", "<|assistant|>", "<|observation|>"])
    library.save(str(directory / "tokenizer.json"))
    tokenizer = load_tokenizer(directory)
    ids = tokenizer.encode("\n你好 ", add_special_tokens=False)
    assert tokenizer.answer(ids) == "你好"
    whole = [*ids, *tokenizer.encode("<|assistant|>track\n{}", add_special_tokens=False)]
    assert tokenizer.answer(whole) == "你好\n{}"
    assert all("你好\n{}".startswith(tokenizer.answer(whole[:end], finished=False)) for end in range(len(whole)))

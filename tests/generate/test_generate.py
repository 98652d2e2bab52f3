"""Generation: the official order of choices, stopping, padding, streaming, the same ids with and without a cache."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import KVCache, Transformer, generate, stream
from glm_edu.errors import GLMError, InputError
from glm_edu.generate import choose

VOCABULARY = 7


def _official(logits: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    """What is left of the probabilities, in plain Python.

    Temperature, then the k likeliest, then the likeliest of those until together they reach p; renormalized at the end.
    """
    scaled = [x / temperature for x in logits]
    order = sorted(range(len(scaled)), key=lambda i: -scaled[i])
    left = order[:top_k] if top_k else order
    weights = {i: math.exp(scaled[i] - max(scaled)) for i in left}
    total, reached, kept = sum(weights.values()), 0.0, []
    for i in left:
        if reached >= top_p:
            break
        kept.append(i)
        reached += weights[i] / total
    mass = sum(weights[i] for i in kept)
    return [weights[i] / mass if i in kept else 0.0 for i in range(len(logits))]


def _offered(monkeypatch: pytest.MonkeyPatch, logits: Tensor, **settings: Any) -> Tensor:
    """The probabilities from which ``choose`` draws."""
    seen: list[Tensor] = []

    def multinomial(probs: Tensor, *_: Any, **__: Any) -> Tensor:
        seen.append(probs)
        return probs.argmax(-1, keepdim=True)

    monkeypatch.setattr(torch, "multinomial", multinomial)
    choose(logits, **settings)
    monkeypatch.undo()
    return seen[0]


@settings(max_examples=60)
@given(
    logits=st.lists(st.integers(-40, 40), min_size=VOCABULARY, max_size=VOCABULARY, unique=True),
    temperature=st.sampled_from([0.2, 0.7, 0.95, 1.0, 3.0]), top_k=st.sampled_from([0, 1, 2, 3, 6, 7, 9]),
    top_p=st.sampled_from([0.05, 0.3, 0.7, 0.95, 1.0]),
)  # fmt: skip
def test_sampling_is_temperature_then_top_k_then_top_p(
    logits: list[int], temperature: float, top_k: int, top_p: float
) -> None:
    values = [x / 10 for x in logits]
    with pytest.MonkeyPatch.context() as patch:
        offered = _offered(patch, torch.tensor([values]), temperature=temperature, top_k=top_k, top_p=top_p)
    expected = _official(values, temperature, min(top_k, VOCABULARY), top_p)
    assert offered[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_order_of_the_three_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """top-p acts on what top-k has left and renormalized: the other order would keep a third token."""
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    offered = _offered(monkeypatch, logits, temperature=1.0, top_k=3, top_p=0.75)
    assert (offered[0] > 0).tolist() == [True, True, False, False]  # 4/9 + 3/9 > 0.75 > 0.4 + 0.3


def test_the_likeliest_token_is_always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = _offered(monkeypatch, torch.tensor([[3.0, 1.0]]), temperature=1.0, top_p=1e-6)
    assert offered[0].tolist() == [1.0, 0.0]


def test_each_row_has_its_own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.tensor([[5.0, 0.0, -5.0], [0.0, 0.1, 0.2]])
    offered = _offered(monkeypatch, logits, temperature=1.0, top_p=0.9)
    assert (offered > 0).tolist() == [[True, False, False], [True, True, True]]


def test_samples_follow_the_probabilities() -> None:
    source = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(20_000, 3)
    drawn = choose(logits, temperature=1.0, generator=source).bincount(minlength=3) / 20_000
    assert drawn.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.015)  # four deviations of the first share


def test_temperature_0_is_the_likeliest_and_needs_no_randomness() -> None:
    state = torch.get_rng_state()
    assert choose(torch.tensor([[1.0, 3.0, 2.0], [5.0, 3.0, 2.0]]), top_k=1, top_p=0.1).tolist() == [1, 0]
    assert torch.equal(torch.get_rng_state(), state)


def test_half_logits_are_sampled_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = _offered(monkeypatch, torch.tensor([[1.0, 3.0]], dtype=torch.float16), temperature=0.7)
    assert offered.dtype == torch.float32


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_an_error(wrong: float) -> None:
    with pytest.raises(InputError, match=r"NaN or infinity.*bfloat16"):
        choose(torch.tensor([[1.0, wrong]]))


@pytest.mark.parametrize("options", [{}, {"prefix_length": 3}], ids=["plain", "with a prefix"])
@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=8)
@given(st.integers(2, 9), st.integers(2, 9))
def test_cached_and_uncached_padded_and_alone_make_the_same_ids(
    preset: str, options: dict[str, int], first: int, second: int
) -> None:
    model = tiny(preset, num_layers=2, **options)
    ids, keep = prompt(model.config, first, second)
    cached = generate(model, ids, 6, stop_ids=(), attention_mask=keep)
    assert torch.equal(cached, generate(model, ids, 6, stop_ids=(), attention_mask=keep, use_cache=False))
    assert torch.equal(cached[:, : ids.shape[1]], ids)
    for row, length in enumerate((first, second)):
        alone = generate(model, ids[row : row + 1, -length:], 6, stop_ids=())
        assert alone[0, length:].tolist() == cached[row, -6:].tolist()


def test_greedy_is_the_likeliest_token_of_the_whole_text_each_time() -> None:
    model = tiny("tiny-llama")
    ids, _ = prompt(model.config, 5)
    expected = ids
    for _ in range(4):
        expected = torch.cat([expected, model(expected)[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(generate(model, ids, 4, stop_ids=()), expected)


class Scripted(torch.nn.Module):
    """A model whose next tokens are written down, a row each; it counts what it is given."""

    def __init__(self, *rows: list[int], **options: Any) -> None:
        super().__init__()
        self.rows, self.config, self.given = rows, tiny("tiny-llama", **options).config, list[int]()

    def forward(
        self, ids: Tensor, attention_mask: Tensor | None = None, cache: KVCache | None = None, last_only: bool = False
    ) -> Tensor:
        step = len(self.given)
        self.given.append(ids.shape[1])
        if cache is not None:
            cache.advance(ids.shape[1])
        wanted = torch.tensor([row[step] for row in self.rows])
        return torch.nn.functional.one_hot(wanted, 512).float()[:, None].expand(-1, ids.shape[1], -1)


@pytest.fixture
def script(unchecked: None) -> Iterator[type[Scripted]]:
    """Scripted models are no Transformers, so shapes are not checked beside them."""
    yield Scripted


def test_a_row_ends_at_its_stop_id_and_is_filled_until_the_last_row_ends(script: type[Scripted]) -> None:
    model = script([11, 2, 99, 99], [12, 13, 14, 2])
    ids = generate(model, torch.tensor([[5], [6]]), 10)
    assert ids.tolist() == [[5, 11, 2, 0, 0], [6, 12, 13, 14, 2]]  # 2 is the config's end, 0 its padding


def test_with_a_cache_only_new_tokens_are_given_to_the_model(script: type[Scripted]) -> None:
    fast, slow = script([11, 12, 13]), script([11, 12, 13])
    generate(fast, torch.tensor([[5, 6, 7]]), 3)
    generate(slow, torch.tensor([[5, 6, 7]]), 3, use_cache=False)
    assert (fast.given, slow.given) == ([3, 1, 1], [3, 4, 5])


@pytest.mark.parametrize("stop_ids", [(13, 12), [12]])
def test_any_of_several_stop_ids_ends_a_row(script: type[Scripted], stop_ids: Any) -> None:
    assert generate(script([11, 12, 13]), torch.tensor([[5]]), 3, stop_ids=stop_ids).tolist() == [[5, 11, 12]]


def test_no_stop_ids_never_end(script: type[Scripted]) -> None:
    assert generate(script([2, 2, 2]), torch.tensor([[5]]), 3, stop_ids=()).tolist() == [[5, 2, 2, 2]]


@pytest.mark.parametrize(("options", "filling"), [
    ({"pad_id": 9}, 9), ({"pad_id": None, "eos_ids": (2, 3)}, 2), ({"pad_id": None, "eos_ids": ()}, 0),
])  # fmt: skip
def test_the_filling_is_the_pad_id_or_else_the_end_or_else_0(
    script: type[Scripted], options: dict[str, Any], filling: int
) -> None:
    model = script([2, 11], [12, 13], **options)
    assert generate(model, torch.tensor([[5], [6]]), 2, stop_ids=(2,)).tolist() == [[5, 2, filling], [6, 12, 13]]


def test_streaming_yields_the_ids_of_each_step_as_they_are_made(script: type[Scripted]) -> None:
    model = script([11, 2], [12, 13])
    steps = stream(model, torch.tensor([[5], [6]]), 2)
    assert next(steps).tolist() == [11, 12]
    assert model.given == [1]  # nothing is computed ahead
    assert [step.tolist() for step in steps] == [[2, 13]]


def test_streaming_and_generating_are_one() -> None:
    model = tiny("tiny-chatglm")
    ids, keep = prompt(model.config, 6, 4)
    steps = list(stream(model, ids, 5, stop_ids=(), attention_mask=keep))
    assert torch.equal(torch.stack(steps, dim=1), generate(model, ids, 5, stop_ids=(), attention_mask=keep)[:, 6:])


def test_between_two_steps_of_a_stream_gradients_are_on_again() -> None:
    steps = stream(tiny("tiny-llama"), torch.tensor([[5, 6]]), 3, stop_ids=())
    for _ in steps:
        assert torch.is_grad_enabled()


def test_a_seeded_generator_gives_the_same_ids_and_another_seed_others() -> None:
    model = tiny("tiny-llama")
    ids, _ = prompt(model.config, 4)

    def sampled(seed: int, **options: Any) -> list[list[int]]:
        source = torch.Generator().manual_seed(seed)
        return generate(model, ids, 8, temperature=1.5, stop_ids=(), generator=source, **options).tolist()

    assert sampled(1) == sampled(1) == sampled(1, use_cache=False)
    assert sampled(1) != sampled(2)
    assert sampled(1, top_k=1) == generate(model, ids, 8, stop_ids=()).tolist()


def test_the_global_seed_is_used_without_a_generator() -> None:
    model = tiny("tiny-llama")
    ids, _ = prompt(model.config, 4)
    torch.manual_seed(3)
    first = generate(model, ids, 5, temperature=1, stop_ids=())
    torch.manual_seed(3)
    assert torch.equal(generate(model, ids, 5, temperature=1, stop_ids=()), first)


def test_no_new_token_is_the_prompt() -> None:
    ids = torch.tensor([[5, 6]])
    assert torch.equal(generate(tiny("tiny-llama"), ids, 0), ids)


@pytest.mark.parametrize("shown", [True, False])
def test_the_progress_bar_is_shown_when_asked_for(shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    generate(tiny("tiny-llama"), torch.tensor([[5, 6]]), 2, stop_ids=(), progress=shown)
    said = capsys.readouterr().err
    assert ("generating" in said and "2/2" in said) if shown else not said


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a negative count": ({"max_new_tokens": -1}, "max_new_tokens=-1 must be 0 or more"),
    "a negative temperature": ({"temperature": -0.5}, "temperature=-0.5 must be 0"),
    "a temperature that is no number": ({"temperature": math.nan}, "temperature=nan must be 0"),
    "a negative top_k": ({"top_k": -1}, "top_k=-1 must be 0"),
    "top_p of 0": ({"top_p": 0.0}, r"top_p=0.0 must lie in \(0, 1\]"),
    "top_p above 1": ({"top_p": 1.5}, "top_p=1.5 must lie in"),
    "padding on the right": ({"attention_mask": torch.tensor([[1, 0]])}, "hides a last token; pad on the left"),
    "one axis": ({"input_ids": torch.tensor([5, 6])}, r"input_ids should be .*not \[2\]; one prompt is torch.tensor"),
    "a list": ({"input_ids": [[5, 6]]}, "input_ids should be a tensor .*not list"),
    "a mask list": ({"attention_mask": [[1, 1]]}, "attention_mask should be a tensor .*not list"),
    "a mask of one axis": ({"attention_mask": torch.tensor([1, 1])}, r"attention_mask should be .*not \[2\]"),
    "a mask of another shape": ({"attention_mask": torch.tensor([[1, 1, 1]])}, r"attention_mask should be \[1, 2\]"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [generate, stream])
@pytest.mark.parametrize("what", WRONG)
def test_wrong_settings_are_named_at_the_call(what: str, make: Any) -> None:
    arguments, message = WRONG[what]
    with pytest.raises(InputError, match=message) as caught:
        made = make(tiny("tiny-llama"), **({"input_ids": torch.tensor([[5, 6]])} | arguments))
        if what == "a mask of another shape":  # only the model knows, at its first step
            next(made)
    assert isinstance(caught.value, GLMError)


@pytest.mark.usefixtures("unchecked")
def test_an_empty_prompt_and_a_prompt_without_bos_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        generate(tiny("tiny-llama"), torch.zeros(1, 0, dtype=torch.long))
    with pytest.raises(InputError, match="no bos token"):
        generate(tiny("tiny-chatglm"), torch.tensor([[5, 6]]))


def test_generation_past_the_limit_is_refused_before_anything_is_computed() -> None:
    model: Transformer = tiny("tiny-llama", max_positions=5)
    prompt = torch.tensor([[5, 6, 7]])
    with pytest.raises(InputError, match="room for 11, and this model was made for 5; max_new_tokens may be 3"):
        stream(model, prompt, 9)
    assert generate(model, prompt, 3, stop_ids=()).shape == (1, 6)


def test_the_smallest_temperatures_take_the_likeliest() -> None:
    logits = torch.tensor([[1.0, 30.0, -7.0]])
    assert choose(logits, temperature=1e-40).item() == choose(logits).item() == 1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("setting", [{"top_k": 5.0}, {"top_p": None}, {"temperature": "hot"}, {"max_new_tokens": 2.5}])
def test_settings_of_another_kind_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(setting))}=.* should be a (whole )?number"):
        generate(tiny("tiny-llama"), torch.tensor([[5]]), **setting)

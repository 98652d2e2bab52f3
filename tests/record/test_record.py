"""Looking inside: every name is there, a replacement changes what follows, a stop computes no more."""

import copy
from typing import Any

import pytest
import torch
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import GLMError, KVCache, Transformer, record
from glm_edu.errors import RecordError
from glm_edu.record import Row, taps

IN_BLOCK = (
    "input", "input_norm", "attention.query", "attention.key", "attention.value", "attention.scores", "attention.probs",
    "attention.mixed", "attention.output", "middle", "post_attention_norm", "feedforward.hidden", "feedforward.output",
    "output",
)  # fmt: skip
ORDER = [
    "position_ids", "mask", "embedding", *(f"blocks.{i}.{name}" for i in range(3) for name in IN_BLOCK),
    "final_norm", "logits",
]  # fmt: skip


def _ids(model: Transformer) -> Tensor:
    return prompt(model.config, 6)[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_name_of_the_book_is_recorded_in_forward_order(preset: str) -> None:
    model = tiny(preset)
    with record(model) as seen:
        assert not seen
        model(_ids(model))
    assert list(seen) == list(seen.keys()) == ORDER
    assert len(seen) == len(ORDER)


@pytest.mark.parametrize("preset", PRESETS)
def test_shapes_fit_the_letters_and_layouts_are_batch_first(preset: str) -> None:
    model = tiny(preset, num_kv_groups=2) if preset == "tiny-chatglm2" else tiny(preset)
    config = model.config
    ids, keep = prompt(config, 6, 4)
    with record(model) as seen:
        model(ids, attention_mask=keep)
    sizes = {"b": 2, "s": 6, "q": 6, "k": 6, "h": 64, "n": 4, "g": config.num_kv_groups, "d": 16, "n*d": 64,
             "f": config.feedforward_size, "v": 512, "1": 1, "2": 2}  # fmt: skip
    for row in seen.table():
        assert row.shape == tuple(sizes[letter] for letter in row.letters.split()), row
        assert row.shape == tuple(seen[row.name].shape)


def test_the_table_says_name_letters_shape_dtype_and_meaning() -> None:
    model = tiny("tiny-chatglm")
    with record(model, ["mask", "blocks.1.attention.probs", "position_ids"]) as seen:
        model(_ids(model))
    positions, mask, probs = seen.table()
    assert probs == Row(
        "blocks.1.attention.probs", "b n q k", (1, 4, 6, 6), "float32", "softmax of the scores: each row sums to 1"
    )
    assert (positions.letters, positions.shape, positions.dtype) == ("b 2 s", (1, 2, 6), "int64")
    assert (mask.letters, mask.dtype) == ("b 1 q k", "bool")
    assert all(row.meaning and "\n" not in row.meaning for row in seen.table())


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_recorded_is_what_the_names_say(preset: str) -> None:
    model = tiny(preset)
    with record(model) as seen:
        logits = model(_ids(model))
    torch.testing.assert_close(seen["blocks.0.attention.probs"].sum(-1), torch.ones(1, 4, 6))
    hidden = seen["blocks.0.attention.probs"].masked_select(~seen["mask"])
    assert not hidden.any()
    query, key = (seen[f"blocks.0.attention.{name}"] for name in ("query", "key"))
    key = key.repeat_interleave(4 // model.config.num_kv_groups, dim=1)
    torch.testing.assert_close(
        (query @ key.transpose(-1, -2) / 4).masked_select(seen["mask"]),
        seen["blocks.0.attention.scores"].masked_select(seen["mask"]), atol=1e-5, rtol=1e-5,
    )  # fmt: skip
    assert torch.equal(seen["logits"], logits)
    assert torch.equal(seen["blocks.1.input"], seen["blocks.0.output"])
    assert torch.equal(seen["embedding"], seen["blocks.0.input"])


def test_recorded_tensors_are_detached_and_the_pass_still_trains() -> None:
    model = tiny("tiny-llama").requires_grad_()
    with record(model) as seen:
        model(_ids(model)).sum().backward()
    assert not any(tensor.requires_grad for tensor in seen.values())
    assert model.embedding.weight.grad is not None


@pytest.mark.parametrize("preset", PRESETS)
def test_recording_changes_no_logit(preset: str) -> None:
    model = tiny(preset)
    plain = model(_ids(model))
    with record(model):
        torch.testing.assert_close(model(_ids(model)), plain, atol=1e-5, rtol=1e-5)
    assert torch.equal(model(_ids(model)), plain)


@pytest.mark.parametrize(("names", "expected"), [
    ("logits", ["logits"]),
    ("blocks.*.output", ["blocks.0.output", "blocks.1.output", "blocks.2.output"]),
    (["final_norm", "blocks.1.attention.[kv]*"], ["blocks.1.attention.key", "blocks.1.attention.value", "final_norm"]),
    ((), []),
])  # fmt: skip
def test_names_and_patterns_select(names: Any, expected: list[str]) -> None:
    model = tiny("tiny-llama")
    with record(model, names) as seen:
        model(_ids(model))
    # "blocks.*.output" also fits "blocks.0.attention.output": a star goes across dots
    assert [name for name in seen if ".attention.output" not in name and ".feedforward.output" not in name] == expected


def _eager_layers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The layers (by their scaling factor, from 1) that take the path with maps from now on."""
    from glm_edu.model import attention

    layers: list[int] = []
    original = attention.eager_attention

    def watching(*args: Any) -> Tensor:
        layers.append(args[5])
        return original(*args)

    monkeypatch.setattr(attention, "eager_attention", watching)
    return layers


@pytest.mark.parametrize(("names", "expected"), [
    ("blocks.1.attention.probs", [2]), ("blocks.2.attention.scores", [3]), ("*.probs", [1, 2, 3]),
    (["blocks.*.attention.query", "mask", "logits"], []),
])  # fmt: skip
def test_asking_for_maps_takes_the_eager_path_in_that_layer_only(
    names: Any, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, layers = tiny("tiny-chatglm2"), _eager_layers(monkeypatch)
    with record(model, names):
        model(_ids(model))
    assert layers == expected
    model(_ids(model))
    assert layers == expected  # and the fast path afterwards


def test_replacing_probabilities_takes_the_eager_path_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model, layers = tiny("tiny-chatglm2"), _eager_layers(monkeypatch)
    with record(model, "logits", replace={"blocks.1.attention.probs": lambda probs: probs * 0}):
        model(_ids(model))
    assert layers == [2]


@pytest.mark.parametrize("name", [name for name in ORDER if name not in ("position_ids", "mask")])
def test_a_replacement_changes_what_follows_and_nothing_before(name: str) -> None:
    """Except that values do not depend on queries, and the like: the branch beside the replaced tensor stays too."""
    model = tiny("tiny-chatglm2")
    with record(model) as before:
        model(_ids(model))
    with record(model, replace={name: lambda tensor: tensor.flip(1) + 0.1}) as after:
        model(_ids(model))
    position = ORDER.index(name)
    for earlier in ORDER[:position]:
        assert torch.equal(before[earlier], after[earlier]), earlier
    torch.testing.assert_close(after[name], before[name].flip(1) + 0.1)
    assert not torch.equal(before["logits"], after["logits"])


@pytest.mark.parametrize("given", ["tensor", "function"])
def test_a_replacement_may_be_a_tensor_or_a_function(given: str) -> None:
    model = tiny("tiny-llama")
    nothing = torch.zeros(1, 6, 64) if given == "tensor" else torch.zeros_like
    with record(model, "blocks.*", replace={"blocks.*.attention.output": nothing}) as seen:
        model(_ids(model))
    for i in range(3):
        assert torch.equal(seen[f"blocks.{i}.middle"], seen[f"blocks.{i}.input"])


def test_a_replaced_mask_and_replaced_positions_are_used() -> None:
    model = tiny("tiny-llama")
    plain = model(_ids(model))
    with record(model, "blocks.0.attention.probs", replace={"mask": lambda mask: torch.ones_like(mask)}) as seen:
        open_mask = model(_ids(model))
    assert seen["blocks.0.attention.probs"].all()
    with record(model, (), replace={"position_ids": torch.zeros_like}):
        nowhere = model(_ids(model))
    assert not torch.equal(open_mask, plain) and not torch.equal(nowhere, plain)


def test_a_replacement_takes_the_dtype_of_what_it_replaces() -> None:
    model = tiny("tiny-llama").to(torch.bfloat16)
    with record(model, replace={"embedding": torch.ones(1, 6, 64)}) as seen:
        model(_ids(model))
    assert seen["embedding"].dtype == torch.bfloat16


def test_a_patch_from_one_pass_into_another() -> None:
    """Activation patching: all of a layer's stream from another prompt gives that prompt's logits."""
    model = tiny("tiny-chatglm2")
    ids, other = _ids(model), prompt(model.config, 6, seed=5)[0]
    with record(model, "blocks.1.output") as seen:
        expected = model(other)
    with record(model, (), replace=dict(seen)):
        torch.testing.assert_close(model(ids), expected)


@pytest.mark.parametrize("wrong", [torch.zeros(1, 6, 63), torch.zeros(6, 64), lambda x: x[:, :3], lambda x: None])
def test_a_replacement_of_another_shape_is_refused(wrong: Any) -> None:
    model = tiny("tiny-llama")
    message = r"replacement of embedding should be a tensor \[1, 6, 64\], not "
    with pytest.raises(RecordError, match=message), record(model, replace={"embedding": wrong}):
        model(_ids(model))


@pytest.mark.parametrize("stop", ["embedding", "blocks.0.attention.probs", "blocks.1.middle", "logits"])
def test_stop_at_computes_nothing_later(stop: str) -> None:
    model, entered = tiny("tiny-llama"), []
    for i, block in enumerate(model.blocks):
        block.register_forward_pre_hook(lambda block, inputs, i=i: entered.append(i))
    after = False
    with record(model, stop_at=stop) as seen:
        model(_ids(model))
        after = True
    assert not after  # the with block ends there, too
    assert list(seen) == ORDER[: ORDER.index(stop) + 1]
    layers = {"embedding": 0, "logits": 3}.get(stop, int(stop.split(".")[1]) + 1 if "." in stop else 0)
    assert entered == list(range(layers))


def test_stop_at_records_its_tensor_even_when_only_others_are_wanted() -> None:
    model = tiny("tiny-llama")
    with record(model, "embedding", stop_at="blocks.0.output") as seen:
        model(_ids(model))
    assert list(seen) == ["embedding", "blocks.0.output"]


def test_nested_recordings_both_see_and_the_inner_replacement_comes_after_the_outer() -> None:
    model = tiny("tiny-llama")
    with record(model, "embedding", replace={"embedding": torch.zeros_like}) as outer:
        with record(model, "embedding", replace={"embedding": lambda tensor: tensor + 1}) as inner:
            model(_ids(model))
        assert not outer["embedding"].any()
        assert (inner["embedding"] == 1).all()
        model(_ids(model))
        assert (inner["embedding"] == 1).all() and not outer["embedding"].any()


def test_the_stop_of_an_outer_recording_ends_the_outer_block() -> None:
    model, reached = tiny("tiny-llama"), []
    with record(model, "logits", stop_at="blocks.0.output") as outer:
        with record(model) as inner:
            model(_ids(model))
            reached.append("inner")
        reached.append("outer")
    assert not reached
    assert list(outer) == ["blocks.0.output"]
    assert "blocks.1.input" not in inner


@pytest.mark.parametrize("ends", ["normally", "by an exception", "by a stop"])
def test_afterwards_nobody_watches(ends: str) -> None:
    model = tiny("tiny-llama")
    try:
        with record(model, stop_at="blocks.1.output" if ends == "by a stop" else None):
            model(_ids(model))
            if ends == "by an exception":
                raise RuntimeError
    except RuntimeError:
        assert ends == "by an exception"
    assert all(not tap.watchers for tap in taps(model).values())


def test_an_exception_of_the_forward_pass_comes_through() -> None:
    model = tiny("tiny-llama")
    with pytest.raises(ValueError, match="ids 0 to 511"), record(model) as seen:
        model(torch.tensor([[999]]))
    assert not seen and all(not tap.watchers for tap in taps(model).values())


def test_a_second_pass_overwrites_the_first() -> None:
    model, cache = tiny("tiny-llama"), KVCache()
    with record(model) as seen:
        model(_ids(model), cache=cache)
        model(torch.tensor([[9]]), cache=cache)
    assert seen["logits"].shape == (1, 1, 512)
    assert seen["blocks.0.attention.key"].shape == (1, 4, 7, 16)
    assert list(seen) == ORDER


def test_a_recording_can_be_used_again() -> None:
    model = tiny("tiny-llama")
    again = record(model, "embedding")
    for _ in range(2):
        with again as seen:
            model(_ids(model))
        assert all(not tap.watchers for tap in taps(model).values())
    assert list(seen) == ["embedding"]


def test_without_a_final_norm_there_is_no_such_tensor() -> None:
    model = tiny("tiny-llama", final_norm=False)
    with record(model) as seen:
        model(_ids(model))
    assert list(seen) == [name for name in ORDER if name != "final_norm"]
    with pytest.raises(RecordError):
        record(model, "final_norm")


@pytest.mark.parametrize("arguments", [
    {"names": "blocks.3.output"}, {"names": ["nothing"]}, {"replace": {"probs": torch.zeros(1)}}, {"stop_at": "block"},
])  # fmt: skip
def test_unknown_names_are_refused_with_the_known_ones(arguments: dict[str, Any]) -> None:
    message = r"No tensor is called .* 3 layers.*logits.*blocks\.0\.attention\.probs"
    with pytest.raises(RecordError, match=message) as caught:
        record(tiny("tiny-llama"), **arguments)
    assert isinstance(caught.value, GLMError) and isinstance(caught.value, KeyError)
    assert not str(caught.value).startswith('"')  # KeyError alone would print the message in quotes


def test_what_was_not_recorded_is_named_with_what_was() -> None:
    model = tiny("tiny-llama")
    with record(model, ["embedding", "logits"]) as seen:
        with pytest.raises(RecordError, match=r"'logits' was not recorded\. Recorded: nothing yet"):
            seen["logits"]
        model(_ids(model))
    with pytest.raises(RecordError, match=r"'mask' was not recorded\. Recorded: embedding, logits"):
        seen["mask"]
    assert "mask" not in seen and seen.get("mask") is None
    assert str(RecordError()) == ""


def test_generation_can_be_watched() -> None:
    from glm_edu import generate

    model = tiny("tiny-chatglm")
    with record(model, "blocks.0.attention.probs") as seen:
        generate(model, _ids(model), max_new_tokens=3, stop_ids=())
    assert seen["blocks.0.attention.probs"].shape == (1, 4, 1, 8)


def test_recordings_may_end_in_any_order() -> None:
    model = tiny("tiny-llama")
    first, second = record(model, "logits"), record(model, "logits")
    one, two = first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    logits = model(torch.tensor([[5, 6]]))
    second.__exit__(None, None, None)
    assert not one and torch.equal(two["logits"], logits)
    assert all(not tap.watchers for tap in taps(model).values())


def test_a_recording_runs_once_at_a_time() -> None:
    recording = record(tiny("tiny-llama"))
    with recording, pytest.raises(RecordError, match="runs already"):
        recording.__enter__()


def test_a_copy_of_a_watched_model_is_watched_by_nobody() -> None:
    model = tiny("tiny-llama")
    with record(model):
        twin = copy.deepcopy(model)
    assert all(not tap.watchers for tap in taps(twin).values()) and taps(twin).keys() == taps(model).keys()


def test_what_a_replacement_does_in_place_stays_in_it() -> None:
    model, ids, cache = tiny("tiny-llama"), torch.tensor([[5, 6, 7]]), KVCache()
    model(ids, cache=cache)
    keys = cache.keys[0].clone()
    in_place = {"blocks.0.attention.key": lambda k: k.mul_(0), "blocks.0.input": lambda x: x.zero_()}
    with record(model, ["embedding", "blocks.0.attention.key"], replace=in_place) as seen:
        model(ids[:, :1], cache=cache)
    assert torch.equal(cache.keys[0][:, :, :3], keys[:, :, :3]) and seen["embedding"].abs().min() > 0
    model(ids[:, 1:2], cache=cache)
    assert not seen["blocks.0.attention.key"].any()

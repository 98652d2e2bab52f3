"""The tuple of hidden states is the official one: of LLaMA beside transformers, of ChatGLM by the recorded tensors."""

import pytest
import torch

from glm_edu import Transformer
from glm_edu.parity import Case
from glm_edu.source_map import hidden_states


def test_llama_returns_what_transformers_returns() -> None:
    from transformers import LlamaForCausalLM

    case = Case("llama_prefill")
    ids = case.runs[0].inputs["input_ids"][:1]
    official = LlamaForCausalLM.from_pretrained(case.directory).eval()
    with torch.no_grad():
        theirs = official(ids, output_hidden_states=True).hidden_states
    ours = hidden_states(Transformer.from_pretrained(case.directory).eval(), ids)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=1e-5)  # float32 noise of three blocks


@pytest.mark.parametrize("name, last", [("chatglm1_gmask", "final_norm"), ("chatglm2_prefill", "blocks.2.output"),
                                        ("chatglm2_no_final_ln", "blocks.2.output")])  # fmt: skip
def test_the_last_entry_of_chatglm(name: str, last: str) -> None:
    """Facts of the official code: ChatGLM-6B appends after its final norm, ChatGLM2-6B before it."""
    case = Case(name)
    run = case.runs[0]
    states = hidden_states(Transformer.from_pretrained(case.directory).eval(), run.inputs["input_ids"])
    assert len(states) == 4
    for state, tensor in zip(states, ("embedding", "blocks.0.output", "blocks.1.output", last), strict=True):
        torch.testing.assert_close(state, run.outputs[tensor], atol=5e-5, rtol=1e-5)  # float32 noise

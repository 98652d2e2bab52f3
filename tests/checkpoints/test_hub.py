"""The hub, as a stand-in on the loopback interface: what is fetched, what is taken up again, what is refused.

Mutations that must fail here: code or other files are fetched too; a cut file starts again; the hash is not compared,
or after the file has its name; the cache is not looked at without a network, or half a model in it is taken; a pinned
commit asks the hub; a short name goes to another revision; ``fetch`` does not read what is there already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, file_download
from small_models import same, small_model
from stand_in_hub import Repository, StandInHub, etag

from glm_edu import Transformer
from glm_edu.checkpoints import CheckpointWarning, fetch, repository
from glm_edu.checkpoints.hub import HUB_MODELS, HubModel, locate
from glm_edu.errors import CheckpointError, CheckpointNotFoundError

Saved = Callable[..., Path]
OLD, NEW = "a" * 40, "b" * 40
BESIDE = {  # what lies beside the weights in published repositories
    "modeling_chatglm.py": b"raise SystemExit('never run')",
    "README.md": b"a card",
    "training_args.bin": b"a pickle",
    "onnx/model.safetensors": b"another form",
    "tokenizer.model": b"pieces",
}


@pytest.fixture
def hub(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """``owner/model`` with a small LLaMA in one file on main, and ``owner/shards`` with .bin shards."""
    with StandInHub() as server:
        old = _files(saved()) | BESIDE
        new = _files(saved("chatglm2")) | BESIDE
        server.repositories["owner/model"] = Repository({OLD: old, NEW: new}, {"main": OLD, "v2": NEW})
        shards = _files(saved(safe_serialization=False, max_shard_size="60KB")) | BESIDE
        server.repositories["owner/shards"] = Repository({OLD: shards}, {"main": OLD})
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # 10 MB: so much at most is fetched twice
        monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))
        yield server


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _weights(hub: StandInHub) -> bytes:
    return hub.repositories["owner/model"].versions[OLD]["model.safetensors"]


def _flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def _offline(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.sent.clear()


# what is fetched


def test_a_model_comes_without_what_lies_beside_it(hub: StandInHub) -> None:
    assert same(Transformer.from_pretrained("owner/model"), small_model())
    assert hub.names == {"config.json", "tokenizer.model", "model.safetensors"}
    assert [path for path in (locate("owner/model")).rglob("*.py")] == []


def test_shards_come_with_their_index_alone(hub: StandInHub) -> None:
    assert same(Transformer.from_pretrained("owner/shards"), small_model())
    shards = {name for name in hub.repositories["owner/shards"].versions[OLD] if name.startswith("pytorch_model")}
    assert len(shards) > 2 and hub.names == {"config.json", "tokenizer.model", *shards}


def test_safetensors_win_over_bin(hub: StandInHub) -> None:
    hub.repositories["owner/model"].versions[OLD]["pytorch_model.bin"] = b"the same once more"
    locate("owner/model")
    assert "pytorch_model.bin" not in hub.names


def test_without_weights_only_the_small_files_come_and_the_weights_later(hub: StandInHub) -> None:
    locate("owner/model", weights=False)
    assert hub.names == {"config.json", "tokenizer.model"}
    assert same(Transformer.from_pretrained("owner/model"), small_model())


@pytest.mark.parametrize("revision, commit", [(None, OLD), ("main", OLD), ("v2", NEW), (NEW, NEW)])
def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: StandInHub, revision: str | None, commit: str) -> None:
    assert locate("owner/model", revision).name == commit


def test_what_is_there_is_not_fetched_again_and_a_commit_asks_nobody(hub: StandInHub) -> None:
    for revision, asked in (("main", 1), (OLD, 0)):
        locate("owner/model", revision)
        hub.sent.clear()
        locate("owner/model", revision)
        assert not hub.names and bool(hub.sent) == bool(asked)


def test_the_client_finds_what_was_fetched_here_in_its_own_cache(hub: StandInHub) -> None:
    directory = locate("owner/model")
    names = ["model.safetensors", "config.json"]
    theirs = huggingface_hub.snapshot_download("owner/model", local_files_only=True, allow_patterns=names)
    assert theirs == str(directory)


def test_what_another_program_fetched_is_used_and_completed(hub: StandInHub) -> None:
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download("owner/model", name, revision=OLD)
    hub.sent.clear()
    assert (locate("owner/model", OLD) / "tokenizer.model").read_bytes() == BESIDE["tokenizer.model"]
    assert hub.names == {"tokenizer.model"}


def test_the_token_goes_to_the_hub_and_no_further(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    locate("owner/model")
    told = {"/store/" in sent.path: sent.token for sent in hub.sent}
    assert told == {False: "Bearer hf_of_a_test", True: None}


# cut off


@pytest.mark.parametrize("ignores_range", [False, True], ids=["", "the server ignores Range"])
def test_a_cut_connection_is_taken_up_where_it_was(hub: StandInHub, ignores_range: bool) -> None:
    size, hub.ignores_range = len(_weights(hub)), ignores_range
    hub.cuts = [1000, 2000, 3000]
    assert same(Transformer.from_pretrained("owner/model"), small_model())
    sent = [answer.size for answer in hub.asked("model.safetensors") if answer.status != 302]
    assert sent == [1000, 2000, 3000, size if ignores_range else size - 6000]


def test_a_reset_connection_is_taken_up_too(hub: StandInHub) -> None:
    """The client gives up at once then; here it goes on as long as bytes come."""
    hub.cuts, hub.resets = [50_000, 50_000], True
    assert same(Transformer.from_pretrained("owner/model"), small_model())
    ranges = [answer.range for answer in hub.asked("model.safetensors") if answer.status == 206]
    assert ranges and hub.asked("model.safetensors")[-1].range == ranges[-1]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.cuts = [1000] + [0] * 40
    with pytest.raises(CheckpointNotFoundError, match=r"What has come is kept: the same call goes on from there"):
        locate("owner/model")
    with monkeypatch.context() as patch:
        _offline(hub, patch)
        with pytest.raises(CheckpointNotFoundError, match="the cache does not hold all of it"):
            locate("owner/model")
    hub.cuts.clear()
    hub.sent.clear()
    assert same(Transformer.from_pretrained("owner/model"), small_model())
    (answer,) = [answer for answer in hub.asked("model.safetensors") if answer.status != 302]
    assert (answer.range, answer.size) == ("bytes=1000-", len(_weights(hub)) - 1000)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_another_content_is_refused_and_nothing_of_it_is_left(hub: StandInHub, name: str, tmp_path: Path) -> None:
    right = hub.repositories["owner/model"].versions[OLD][name]
    hub.tampered[name] = _flipped(right)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=f"{name} of owner/model came with another content"):
            Transformer.from_pretrained("owner/model")
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert hub.tampered[name] not in [path.read_bytes() for path in left]
    assert not [path for path in left if path.suffix == ".part" or "snapshots" in path.parts]
    hub.tampered.clear()
    assert same(Transformer.from_pretrained("owner/model"), small_model())


def test_what_the_client_fetched_by_itself_is_compared_too(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.etags["config.json"] = "another-name"  # so the client does not see that it is there already
    assert same(Transformer.from_pretrained("owner/model"), small_model())
    real = repository.fetch_file

    def then_tampered(*file: Any) -> None:
        real(*file)
        hub.tampered["config.json"] = _flipped(hub.repositories["owner/model"].versions[NEW]["config.json"])

    monkeypatch.setattr(repository, "fetch_file", then_tampered)
    with pytest.raises(CheckpointError, match=r"config.json of owner/model changed while it was fetched"):
        locate("owner/model", "v2")
    hub.tampered.clear()
    assert locate("owner/model", "v2").name == NEW


# the cache


def test_offline_takes_what_is_in_the_cache_and_asks_nobody(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = locate("owner/model")
    _offline(hub, monkeypatch)
    assert locate("owner/model") == locate("owner/model", OLD) == directory
    assert not hub.sent
    for name, revision in (("owner/shards", None), ("owner/model", "v2"), ("owner/model", NEW)):
        with pytest.raises(CheckpointNotFoundError, match="HF_HUB_OFFLINE is set"):
            locate(name, revision)


def test_a_part_of_a_model_in_the_cache_is_not_taken_offline(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    locate("owner/shards")
    next(locate("owner/shards").glob("*-00002-of-*.bin")).unlink()
    _offline(hub, monkeypatch)
    with pytest.raises(CheckpointNotFoundError, match="the cache does not hold all of it"):
        locate("owner/shards")
    assert locate("owner/shards", weights=False).name == OLD


def test_a_hub_that_is_down_is_told_of_and_the_cache_is_used(hub: StandInHub) -> None:
    directory = locate("owner/model")
    hub.down = True
    with pytest.warns(CheckpointWarning, match="owner/model is taken from the cache"):
        assert locate("owner/model") == directory


def test_fetch_reads_what_is_there_and_mends_it(hub: StandInHub) -> None:
    weights = locate("owner/model") / "model.safetensors"
    weights.resolve().write_bytes(_flipped(_weights(hub)))
    assert (locate("owner/model") / weights.name).read_bytes() != _weights(hub), "reading 13 GB at each start is no use"
    assert (fetch("owner/model") / weights.name).read_bytes() == _weights(hub)


def test_a_file_of_another_size_is_fetched_again(hub: StandInHub) -> None:
    weights = locate("owner/model") / "model.safetensors"
    weights.resolve().write_bytes(b"short")
    assert (locate("owner/model") / weights.name).read_bytes() == _weights(hub)


# what is refused


def test_a_shard_that_the_index_names_and_the_repository_lacks_is_named(hub: StandInHub) -> None:
    files = hub.repositories["owner/shards"].versions[OLD]
    absent = next(name for name in files if "-00002-of-" in name)
    del files[absent]
    with pytest.raises(CheckpointNotFoundError, match=f"names shards that are not beside it: {absent}"):
        Transformer.from_pretrained("owner/shards")


def test_a_file_that_is_listed_and_cannot_be_had_is_named(hub: StandInHub) -> None:
    hub.lost.add("model.safetensors")
    with pytest.raises(CheckpointNotFoundError, match=r"Entry Not Found for url: \S+/model.safetensors"):
        locate("owner/model")


def test_a_repository_without_weights_that_can_be_read_is_refused_before_anything_is_fetched(hub: StandInHub) -> None:
    hub.repositories["owner/gguf"] = Repository({OLD: {"config.json": b"{}", "model.gguf": b"?"}}, {"main": OLD})
    with pytest.raises(CheckpointNotFoundError, match=r"owner/gguf holds no weights that can be read.*model.gguf"):
        locate("owner/gguf")
    assert not hub.names


@pytest.mark.parametrize(
    "name, revision, says",
    [("owner/nothing", None, "it has no such model"), ("owner/model", "v3", "at revision v3: it has no such revision"),
     ("owner/gated", None, "accept a licence and to log in"), ("owner/model", "c" * 40, "no such revision"),
     ("owner/m..odel", None, "HFValidationError")],
)  # fmt: skip
def test_what_the_hub_answers_is_told(hub: StandInHub, name: str, revision: str | None, says: str) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"?"}
    hub.repositories["owner/gated"] = Repository({OLD: files}, {"main": OLD}, gated=True)
    with pytest.raises(CheckpointNotFoundError, match=says) as caught:
        Transformer.from_pretrained(name, revision=revision)
    assert "give the path of a directory that you downloaded elsewhere" in str(caught.value)


@pytest.mark.parametrize("name", ["model", "a/b/c", "./a/b", "/a/b", "owner/ model", "../model", "-x/y", "~/model"])
def test_what_is_no_hub_id_is_not_asked_for(hub: StandInHub, name: str) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"There is no directory .* have a short name \(.*chatglm2-6b"):
        Transformer.from_pretrained(name)
    assert not hub.sent


def test_no_network_is_an_error_that_says_what_to_do(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens on the discard port
    with pytest.raises(CheckpointNotFoundError, match="With no network, give the path of a directory"):
        Transformer.from_pretrained("owner/model")


def test_a_disk_without_room_is_told_before_a_byte_is_fetched(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(CheckpointError, match=r"KB are to be fetched, and the disk of \S+ has 100 bytes free"):
        locate("owner/model")
    assert not hub.names


# short names


def test_a_short_name_is_one_commit_of_one_repository(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HUB_MODELS, "chatglm2-6b", HubModel("owner/model", NEW, ""))
    assert locate("chatglm2-6b").name == fetch("chatglm2-6b").name == NEW
    assert locate("chatglm2-6b", "main").name == OLD


def test_the_short_names_are_presets_and_their_commits_are_whole() -> None:
    from glm_edu.config import PRESETS

    for name, model in HUB_MODELS.items():
        assert name in PRESETS and model.repository.endswith(f"/{name}")
        assert repository._COMMIT.fullmatch(model.revision)


def test_every_small_file_that_is_read_is_fetched() -> None:
    package = Path(repository.__file__).parents[1]
    source = "".join(file.read_text(encoding="utf-8") for file in (package / "text").glob("*.py"))
    read = set(re.findall(r'"(\w+\.(?:json|jinja|model|txt))"', source))
    assert {"config.json", "tokenizer.json"} <= read <= set(repository.SMALL_FILES)


def test_the_stand_in_names_files_as_git_does() -> None:
    """The sha1 of the word "hello" as a blob is known to everyone who ever ran ``git hash-object``."""
    assert etag("a.txt", b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"

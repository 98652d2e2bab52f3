"""``glm-edu fetch`` as a program of its own, against the stand-in hub: its environment variables, and Ctrl-C.

Mutations that must fail here: Ctrl-C throws away what has come, or leaves it where it loads; HF_ENDPOINT is not heard.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stand_in_hub import Repository, StandInHub

COMMIT = "a" * 40


def test_ctrl_c_stops_a_download_and_the_same_command_goes_on(saved: Callable[..., Path], tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in saved().iterdir()}
    files["model.safetensors"] += bytes(12_000_000)  # more than the client reads at once, 10 MB
    with StandInHub({"owner/model": Repository({COMMIT: files}, {"main": COMMIT})}, stalls_at=11_000_000) as hub:
        fetching = _fetch(hub, tmp_path)
        while max((part.stat().st_size for part in tmp_path.rglob("*.part")), default=0) < 10_000_000:
            assert fetching.poll() is None
            time.sleep(0.02)
        fetching.send_signal(signal.SIGINT)
        _, said = fetching.communicate(timeout=300)
        assert (fetching.returncode, said.splitlines()[-1]) == (130, "Stopped.")
        (part,) = tmp_path.rglob("*.part")
        kept = part.stat().st_size
        assert 10_000_000 <= kept < len(files["model.safetensors"])
        assert not list(tmp_path.rglob("snapshots"))
        hub.stalls_at = None
        again = _fetch(hub, tmp_path)
        printed, _ = again.communicate(timeout=300)
        assert again.returncode == 0
        assert (Path(printed.strip()) / "model.safetensors").read_bytes() == files["model.safetensors"]
        assert hub.asked("model.safetensors")[-1].range == f"bytes={kept}-"


def _fetch(hub: StandInHub, place: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(place), "NO_PROXY": "127.0.0.1,localhost",
        "HF_HUB_DOWNLOAD_TIMEOUT": "300",  # while the hub stalls, the client waits for Ctrl-C and does not try again
    }  # fmt: skip
    command = [sys.executable, "-m", "glm_edu", "fetch", "owner/model"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, preexec_fn=_heed_ctrl_c, **streams)


def _heed_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and its children would be so too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

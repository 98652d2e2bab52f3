"""A small hub on the loopback interface: the routes that huggingface_hub calls, with its headers, and its mishaps.

``GET /api/models/{repo}[/revision/{rev}]`` and ``/tree/{commit}`` list files; ``HEAD`` and ``GET
/{repo}/resolve/{rev}/{file}`` give them. Files with a sha256 (weights) are redirected to another host, as the hub does.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

WEIGHTS = (".safetensors", ".bin", ".pth")


@dataclass
class Repository:
    """``versions``: commit -> name -> content; ``refs``: branch -> commit."""

    versions: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    gated: bool = False


@dataclass
class Sent:
    """One answer: what was asked for, and how many bytes of content went out."""

    method: str
    path: str
    status: int
    size: int
    range: str | None
    token: str | None


@dataclass
class StandInHub:
    """Its repositories by name, and its mishaps.

    Attributes:
        cuts: after how many bytes the next connections for weights end, one after the other.
        resets: they end without a word.
        tampered: name -> what is sent instead.
        lost: names that are listed and cannot be had.
        etags: name -> what HEAD says.
        stalls_at: after so many bytes of weights nothing more comes, until it is None.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    resets: bool = False
    tampered: dict[str, bytes] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    etags: dict[str, str] = field(default_factory=dict)
    down: bool = False
    stalls_at: int | None = None
    ignores_range: bool = False
    sent: list[Sent] = field(default_factory=list)

    def __enter__(self) -> StandInHub:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def asked(self, ending: str, method: str = "GET") -> list[Sent]:
        """The answers of content for names that end so."""
        return [sent for sent in self.sent if sent.method == method and sent.path.endswith(ending)]

    @property
    def names(self) -> set[str]:
        """The names of the files of which content was sent."""
        return {sent.path.rsplit("/", 1)[-1] for sent in self.sent if sent.method == "GET" and "/api/" not in sent.path}


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.hub.down:
            return self._answer(503, b"down")
        if path.startswith("/api/models/"):
            return self._api(path.removeprefix("/api/models/"))
        if path.startswith("/store/"):
            return self._content(self._stored(*path.split("/")[2:4]), path.rsplit("/", 1)[-1])
        repo, found, rest = path.removeprefix("/").partition("/resolve/")
        if not found:
            return self.send_error(404)  # the client asks other things beside; they are no part of a download
        self._resolve(repo, *rest.split("/", 1))

    def _repository(self, repo: str, revision: str) -> tuple[Repository, str] | None:
        """The repository and the commit of a revision; None: an error was answered."""
        found = self.hub.repositories.get(repo)
        if found is None:
            return self._error(401, "RepoNotFound")
        commit = found.refs.get(revision, revision)
        if commit not in found.versions:
            return self._error(404, "RevisionNotFound")
        return found, commit

    def _api(self, rest: str) -> None:
        repo, _, tree = rest.partition("/tree/")
        repo, _, revision = repo.partition("/revision/")
        if (found := self._repository(repo, tree or revision or "main")) is None:
            return
        files = found[0].versions[found[1]]
        if tree:
            entries = [{"type": "file", "path": n, **self._entry(n, c, "oid", "oid")} for n, c in files.items()]
            return self._answer(200, json.dumps(entries).encode())
        siblings = [{"rfilename": n, **self._entry(n, c, "blobId", "sha256")} for n, c in files.items()]
        self._answer(200, json.dumps({"id": repo, "sha": found[1], "siblings": siblings}).encode())

    def _entry(self, name: str, content: bytes, git: str, sha256: str) -> dict[str, Any]:
        large = {"lfs": {sha256: etag(name, content), "size": len(content), "pointerSize": 130}}
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"size": len(content), git: blob} | (large if name.endswith(WEIGHTS) else {})

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        if (found := self._repository(repo, revision)) is None:
            return
        files, commit = found[0].versions[found[1]], found[1]
        if found[0].gated:
            self._error(401, "GatedRepo")
        elif name not in files or name in self.hub.lost:
            self._error(404, "EntryNotFound", {"X-Repo-Commit": commit})
        elif name.endswith(WEIGHTS):
            place = f"http://localhost:{self.server.server_address[1]}/store/{repo.replace('/', '--')}/{commit}/{name}"
            tag = f'"{etag(name, files[name])}"'
            size = str(len(files[name]))
            self._answer(302, b"", {"Location": place, "X-Repo-Commit": commit, "X-Linked-Etag": tag,
                                    "X-Linked-Size": size})  # fmt: skip
        else:
            tag = self.hub.etags.get(name, etag(name, files[name]))
            self._content(files[name], name, {"X-Repo-Commit": commit, "ETag": f'"{tag}"'})

    def _stored(self, repo: str, commit: str) -> bytes:
        return self.hub.repositories[repo.replace("--", "/")].versions[commit][self.path.rsplit("/", 1)[-1]]

    def _content(self, content: bytes, name: str, headers: dict[str, str] | None = None) -> None:
        content = self.hub.tampered.get(name, content)
        start = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-")) if not self.hub.ignores_range else 0
        headers = dict(headers or {})
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cut = self.hub.cuts.pop(0) if self.hub.cuts and name.endswith(WEIGHTS) else None
        self._answer(206 if start else 200, content[start:], headers, cut)

    def _error(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code} | (headers or {}))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        out = b"" if self.command == "HEAD" else body[:cut]
        path, told = urlsplit(self.path).path, self.headers.get("Range")
        self.hub.sent.append(Sent(self.command, path, status, len(out), told, self.headers.get("Authorization")))
        stop = self.hub.stalls_at if out and "/store/" in path else None
        self.wfile.write(out[:stop])
        while self.hub.stalls_at is not None and stop is not None:
            time.sleep(0.02)
        if len(out) < len(body) and self.command != "HEAD":
            self.close_connection = True
            if self.hub.resets:  # closed without a word: the client sees a reset, not an end
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()


def etag(name: str, content: bytes) -> str:
    """What the hub calls a file: sha256 of weights, git's sha1 of the rest."""
    if name.endswith(WEIGHTS):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

"""Decoders on a model hub: what is sent there and what comes back, against a hub of this machine's own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec
from urllib.parse import unquote, urlsplit

import pytest

from spikeinterface_poyo.weights import hub
from spikeinterface_poyo.weights.fetching import locate

needs_hub = pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="needs huggingface_hub, the extra 'hub'")
COMMIT = "c" * 40
DECODER = {
    "decoder.json": b'{"weights": "model-111111111111.safetensors"}',
    "model-111111111111.safetensors": b"weights",
    "README.md": b"card",
}


@dataclass
class Repository:
    """The fake hub's one repository, me/decoder, with its one revision, and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    made_with: dict[str, Any] | None = None
    message: str | None = None
    tokens: set[str | None] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    endpoint: str = ""


class Handler(BaseHTTPRequestHandler):
    """As much of the hub's protocol as a download and an upload take."""

    protocol_version = "HTTP/1.1"

    @property
    def repository(self) -> Repository:
        return self.server.repository  # type: ignore[attr-defined]

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, content: Any) -> None:
        self.answer(json.dumps(content).encode(), Content_Type="application/json")

    def do_GET(self):
        path, files = unquote(urlsplit(self.path).path), self.repository.files
        if "me/decoder" not in path:
            self.answer(b"", 404, X_Error_Code="RepoNotFound")
        elif path.startswith("/api/models/me/decoder/tree"):
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]
            self.answer_json(entries)
        elif path in ("/api/models/me/decoder", *(f"/api/models/me/decoder/revision/{r}" for r in ("main", COMMIT))):
            siblings = [{"rfilename": name} for name in files]
            self.answer_json({"id": "me/decoder", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})
        elif path.startswith("/api/models/me/decoder/revision/"):
            self.answer(b"", 404, X_Error_Code="RevisionNotFound")
        else:
            name = path.partition("/resolve/")[2].partition("/")[2]
            if name not in files:
                self.answer(b"", 404, X_Error_Code="EntryNotFound")
                return
            if self.command == "GET":
                self.repository.sent.append(name)
            etag = hashlib.sha1(files[name]).hexdigest()
            self.answer(files[name], ETag=f'"{etag}"', X_Repo_Commit=COMMIT)

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.repository.tokens.add(self.headers.get("Authorization"))
        if path == "/api/repos/create":
            self.repository.made_with = json.loads(body)
            self.answer_json({"url": f"{self.repository.endpoint}/me/decoder"})
        elif path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in asked]
            self.answer_json({"files": modes})
        elif path.endswith("/commit/main"):
            for operation in map(json.loads, body.splitlines()):
                self.apply(operation["key"], operation["value"])
            url = f"{self.repository.endpoint}/me/decoder/commit/{COMMIT}"
            self.answer_json({"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})
        else:
            self.answer_json({"errors": [], "warnings": []})

    def apply(self, key: str, value: dict[str, Any]) -> None:
        if key == "header":
            self.repository.message = value["summary"]
        elif key == "file":
            self.repository.files[value["path"]] = base64.b64decode(value["content"])
        elif key == "deletedFile":
            del self.repository.files[value["path"]]

    def log_message(self, *args):
        pass


@pytest.fixture
def repository() -> Iterator[Repository]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    repository = Repository(endpoint=f"http://127.0.0.1:{server.server_port}")
    server.repository = repository  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield repository
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(repository, tmp_path):
    """Function that runs code where the fake hub is the hub, which huggingface_hub settles when it is imported.

    It gives the lines of what the code prints; ``tried(function, *given)`` prints what it returns or raises.
    """
    tried = """
from spikeinterface_poyo.weights import fetching
from spikeinterface_poyo.weights import hub
def tried(function, *given, **named):
    try:
        print(function(*given, **named))
    except Exception as error:
        print(type(error).__name__, " ".join(str(error).split()))
"""

    def run(code: str, **environment: str) -> list[str]:
        settings = {"HF_ENDPOINT": repository.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1",
                    "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}  # fmt: skip
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        variables = inherited | settings | environment
        command = [sys.executable, "-c", tried + code]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=variables)
        return done.stdout.splitlines()

    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "decoder"
    folder.mkdir()
    for name, content in DECODER.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("source", ["owner/name", "o-w/n.a_me-1", "owner/name@main", "owner/name@refs/pr/1"])
def test_repositories_have_an_owner_and_a_name(source):
    assert hub.is_repo(source)


@pytest.mark.parametrize("source", ["name", "/name", "owner/", "./name", "../name", "~/name", "a/b/c", "a b/c", "a/b@",
                                    "a\\b", "C:/b c", "a/b\n"])  # fmt: skip
def test_paths_are_no_repositories(source):
    assert not hub.is_repo(source)


def test_revisions():
    assert hub.split_revision("owner/name") == ("owner/name", None)
    assert hub.split_revision("owner/name@refs/pr/1") == ("owner/name", "refs/pr/1")


def test_without_the_library_it_says_what_to_install(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for tried in (lambda: locate("owner/name"), lambda: hub.push(folder, "owner/name")):
        with pytest.raises(ImportError, match=r"pip install 'spikeinterface_poyo\[hub\]'"):
            tried()


@pytest.mark.parametrize("missing", ["decoder.json", "model-111111111111.safetensors"])
def test_only_decoders_are_uploaded(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match="no saved decoder"):
        hub.push(folder, "owner/name")


@pytest.mark.parametrize("repo_id", ["name", "owner/name@main", "a/b/c", ""])
def test_uploads_need_an_owner_and_a_name(folder, repo_id):
    with pytest.raises(ValueError, match="'owner/name'"):
        hub.push(folder, repo_id)


@needs_hub
def test_a_download_takes_the_decoder_and_nothing_else(repository, run):
    repository.files = {**DECODER, "code.py": b"evil", "old.ckpt": b"pickle", "data.nwb": b"data"}
    repository.files |= {"large.safetensors": b"another", "large/model-222222222222.safetensors": b"another"}
    locations = run(f"tried(fetching.locate, 'me/decoder'); tried(fetching.locate, 'me/decoder@{COMMIT}')")
    found = Path(locations[0])
    assert locations == [str(found)] * 2
    assert {path.name: path.read_bytes() for path in found.iterdir()} == DECODER
    assert set(repository.sent) == set(DECODER)
    repository.sent.clear()
    for out_of_reach in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        assert run("tried(fetching.locate, 'me/decoder')", **out_of_reach) == [str(found)]
    assert repository.sent == []


@needs_hub
def test_what_the_hub_does_not_have(repository, run):
    repository.files = {"core.ckpt": b"", "README.md": b"card"}
    bare, revision, gone, wrong = run("""
tried(hub.download, 'me/decoder')
tried(hub.download, 'me/decoder', 'v9')
tried(hub.download, 'me/gone')
tried(hub.download, 'me/two..dots')
""")
    assert bare.startswith("FileNotFoundError the model hub's me/decoder holds no decoder")
    assert revision == "FileNotFoundError the model hub's me/decoder has no revision 'v9'"
    assert gone.startswith("FileNotFoundError there is no file or folder 'me/gone' here, and no such repository")
    assert wrong.startswith("HFValidationError")


@needs_hub
@pytest.mark.parametrize("out_of_reach", [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}])
def test_a_hub_that_cannot_be_reached(run, out_of_reach):
    (said,) = run("tried(hub.download, 'me/decoder')", **out_of_reach)
    assert said.startswith("ConnectionError cannot download me/decoder from the model hub")


@needs_hub
def test_what_is_uploaded_comes_back(repository, run, folder):
    repository.files = {"model-000000000000.safetensors": b"older", "notes.txt": b"the user's"}
    others = {"model-00001-of-00002.safetensors": b"another", "large/model-222222222222.safetensors": b"another"}
    repository.files |= others
    (folder / "recording.nwb").write_bytes(b"private")
    (folder / "model-other.safetensors").write_bytes(b"not of this decoder")
    (folder / ".decoder.json-1.part").write_bytes(b"half")
    given = "private=True, token='hf_token'"
    address, found = run(f"tried(hub.push, {str(folder)!r}, 'me/decoder', {given}); tried(hub.download, 'me/decoder')")
    assert address == f"{repository.endpoint}/me/decoder"
    assert repository.files == {**DECODER, "notes.txt": b"the user's", **others}
    assert repository.message == "Upload decoder"
    assert "Bearer hf_token" in repository.tokens
    assert repository.made_with is not None
    assert repository.made_with["name"] == "decoder"
    assert repository.made_with.get("visibility") == "private" or repository.made_with.get("private") is True
    assert {path.name: path.read_bytes() for path in Path(found).iterdir()} == DECODER


@needs_hub
def test_the_librarys_functions_take_what_is_given(monkeypatch, folder):
    import huggingface_hub

    calls = {}
    for name in ("create_repo", "upload_folder", "snapshot_download"):
        calls[name] = create_autospec(getattr(huggingface_hub, name), return_value=str(folder))
        monkeypatch.setattr(huggingface_hub, name, calls[name])
    hub.push(folder, "owner/name")
    hub.download("owner/name", "main")
    assert calls["create_repo"].call_args.kwargs["private"] is False
    assert calls["upload_folder"].call_args.kwargs["folder_path"] == folder
    assert calls["snapshot_download"].call_args.kwargs["revision"] == "main"

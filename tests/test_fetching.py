"""Where pretrained weights come from: whole, checked, from the cache once they are there."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import safetensors.torch
import torch

from spikeinterface_poyo.weights import fetching, files, hub, registry
from spikeinterface_poyo.weights.fetching import cached_name, locate


def archive(n_bytes: int) -> bytes:
    """What ``torch.save`` writes of so many random bytes."""
    file = io.BytesIO()
    torch.save({"weights": torch.from_numpy(np.random.default_rng(0).integers(0, 256, n_bytes, dtype=np.uint8))}, file)
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return os.system, ("exit 1",)


def bomb() -> bytes:
    """What ``torch.save`` writes of what is no plain data."""
    file = io.BytesIO()
    torch.save({"state_dict": Bomb()}, file)
    return file.getvalue()


CONTENT = archive(3 * fetching.BLOCK)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Served:
    """What a local server gives, and the switches of how it misbehaves."""

    content: bytes = CONTENT
    etag: str | None = '"first"'
    last_modified: str | None = None
    status: int = 200
    content_type: str = "application/octet-stream"
    encoding: str | None = None
    ranges: bool = True
    wrong_range: bool = False
    unasked_range: bool = False
    says_length: bool = True
    chunked: bool = False
    extra_length: int = 0
    drop_after: int | None = None
    delay: float = 0.0
    redirect: str | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        served: Served = self.server.served  # type: ignore[attr-defined]
        served.requests.append(dict(self.headers))
        self.close_connection = True
        time.sleep(served.delay)
        if served.redirect and not self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", served.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if served.status != 200:
            self.send_error(served.status)
            return
        start = self.start_of(served)
        if start is not None and start >= len(served.content):
            self.send_error(416)
            return
        start = 0 if start is None and served.unasked_range else start
        body = served.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        self.send_header("Content-Type", served.content_type)
        for name, value in (
            ("ETag", served.etag),
            ("Last-Modified", served.last_modified),
            ("Content-Encoding", served.encoding),
        ):
            if value:
                self.send_header(name, value)
        if start is not None:
            shift = 1 if served.wrong_range else 0
            last, total = len(served.content) - 1, len(served.content)
            self.send_header("Content-Range", f"bytes {start - shift}-{last}/{total}")
        if served.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif served.says_length:
            self.send_header("Content-Length", str(len(body) + served.extra_length))
        self.end_headers()
        sent = body if served.drop_after is None else body[: served.drop_after]
        if served.chunked:
            self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
            if served.drop_after is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(sent)

    def start_of(self, served: Served) -> int | None:
        """First byte of the range that is asked for, if the file is still the one it was."""
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range") in (served.etag, served.last_modified)
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked and served.ranges and same else None

    def log_message(self, *args):
        pass


@pytest.fixture
def served() -> Iterator[Served]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.served = Served(address=f"http://127.0.0.1:{server.server_port}/zoo/core.ckpt")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.served  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(fetching.CACHE_VARIABLE, str(folder))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, "_warned", set())
    return folder


def parts(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.part"))


def loadable(cache: Path) -> list[Path]:
    return [path for path in cache.glob("*") if path.suffix in fetching.SUFFIXES]


def interrupted(served: Served, n_bytes: int) -> None:
    """A download that stops after so many bytes."""
    served.drop_after = n_bytes
    with pytest.raises(ConnectionError, match=f"stopped at {n_bytes} of {len(CONTENT)}"):
        locate(served.address)
    served.drop_after = None


@pytest.mark.parametrize("kind", [str, Path])
def test_what_exists_is_taken_as_it_is(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "poyo_mp").mkdir()
    (tmp_path / "owner" / "name").mkdir(parents=True)
    for name in ("poyo_mp", "owner/name"):  # even where it has the name of something else
        assert locate(kind(name)) == Path(name)


@pytest.mark.parametrize("source", [None, 3, b"poyo_mp", ["poyo_mp"]])
def test_other_things_are_a_type_error(source):
    with pytest.raises(TypeError, match=f"string or a path; got {type(source).__name__}"):
        locate(source)


@pytest.mark.parametrize("source", ["", "nowhere", "no where/at all", "a/b/c", "./a/b", "owner/decoder.safetensors"])
def test_nothing_of_that_name(source):
    with pytest.raises(FileNotFoundError) as error:
        locate(source)
    for said in (repr(source), "http(s)://", "owner/name", *registry.BY_NAME):
        assert said in str(error.value)


def test_a_path_is_never_looked_for_elsewhere():
    for name in ("poyo_mp", "owner/name"):
        with pytest.raises(FileNotFoundError, match="no file or folder"):
            locate(Path(name))


def test_a_hub_id_goes_to_the_hub(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(hub, "download", lambda *given: asked.append(given) or tmp_path)
    assert locate("owner/name") == tmp_path
    assert locate("owner/name@v1.0") == tmp_path
    assert asked == [("owner/name", None), ("owner/name", "v1.0")]


def test_downloads_once_and_then_needs_no_network(served, cache):
    file = locate(served.address)
    assert file.read_bytes() == CONTENT
    assert file.parent == cache
    assert file.name.endswith("-core.ckpt")
    served.status = 500
    assert locate(served.address) == file
    assert locate(f"{served.address}#sha256={SHA256}") == file
    assert len(served.requests) == 1
    assert parts(cache) == []
    assert list(cache.glob("*.validator")) == []


def test_a_cache_that_cannot_be_written_to_serves_what_it_has(served, cache, monkeypatch):
    file = locate(served.address)
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    monkeypatch.setattr(fetching.os, "access", lambda *_: False)
    assert locate(served.address) == file
    assert [path.name for path in cache.iterdir()] == [file.name]
    with pytest.raises(OSError, match=fetching.CACHE_VARIABLE):
        locate(served.address.replace("core", "other"))


def test_what_another_user_left_in_a_cache_is_named(served, cache, monkeypatch):
    def opened(self, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OSError, match=rf"core.ckpt.part.* cannot be written to.* {fetching.CACHE_VARIABLE}"):
        locate(served.address)


def test_a_cache_folder_that_is_a_file(served, cache):
    cache.write_text("")
    with pytest.raises(OSError, match=fetching.CACHE_VARIABLE):
        locate(served.address)


def test_addresses_have_files_of_their_own(served):
    files = [locate(served.address + query) for query in ("", "?version=2")]
    files.append(locate(served.address.replace("zoo", "attic")))
    assert len(set(files)) == 3
    assert all(file.suffix == ".ckpt" for file in files)


@pytest.mark.parametrize("name", ["a b.ckpt", "a%20b.ckpt", "a%2Fb.pt", "..%2f..%2fup.pt", "ü.pth"])
def test_names_are_made_safe_and_keep_their_suffix(served, cache, name):
    file = locate(served.address.replace("core.ckpt", name))
    assert file.read_bytes() == CONTENT
    assert file.parent == cache
    assert file.suffix == Path(name).suffix


def test_redirects_are_followed(served):
    served.redirect = "/moved/elsewhere"
    file = locate(served.address)
    assert file.read_bytes() == CONTENT
    assert file.suffix == ".ckpt"


@pytest.mark.parametrize("digest", [SHA256, SHA256.upper()])
def test_a_right_hash(served, digest):
    assert locate(f"{served.address}#sha256={digest}").read_bytes() == CONTENT


def test_a_wrong_hash_keeps_nothing(served, cache):
    with pytest.raises(ValueError, match=SHA256) as error:
        locate(f"{served.address}#sha256={'0' * 64}")
    assert "0" * 64 in str(error.value)
    assert loadable(cache) == []
    assert parts(cache) == []


@pytest.mark.parametrize(
    ("end", "content"),
    [
        (".ckpt", b"the quota of downloads is exceeded"),
        (".ckpt", CONTENT[:-100]),
        (".ckpt", CONTENT[:5000] + bytes([CONTENT[5000] ^ 1]) + CONTENT[5001:]),
        (".safetensors", CONTENT),
        (".ckpt", bomb()),
        (".safetensors", safetensors.torch.save({"weights": torch.zeros(1000)})[:-1]),
        (".safetensors", safetensors.torch.save({"weights": torch.zeros(1000)})),
    ],
    ids=["a message", "truncated", "altered", "another format", "a bomb", "truncated safetensors", "others' weights"],
)
def test_what_is_no_file_of_weights_is_not_kept(served, cache, end, content):
    served.content = content
    with pytest.raises(ValueError, match=r"core\.\w+ gives is not kept: (expected|it is damaged)"):
        locate(served.address.replace(".ckpt", end))
    assert loadable(cache) == parts(cache) == []


@pytest.mark.parametrize("fragment", ["", f"#sha256={SHA256}"])
def test_a_copy_that_was_damaged_is_downloaded_again(served, fragment):
    file = locate(served.address)
    file.write_bytes(CONTENT[:-1])
    assert locate(served.address + fragment) == file
    assert file.read_bytes() == CONTENT


def test_a_decoder_is_compared_with_its_digest(served, cache, simulate, small_decoder, tmp_path, monkeypatch):
    session = simulate(duration=20.0)
    decoder = small_decoder().fit(session.spikes, session.behavior)
    decoder.save_pretrained(tmp_path / "decoder")
    content = next((tmp_path / "decoder").glob("*.safetensors")).read_bytes()
    address = served.address.replace(".ckpt", ".safetensors")
    served.content = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    with pytest.raises(ValueError, match=r"gives is not kept: .*digest differs"):
        locate(address)
    assert loadable(cache) == parts(cache) == []
    served.content = content
    file = locate(address)
    with monkeypatch.context() as older:
        older.setattr(files, "FORMAT_VERSION", files.FORMAT_VERSION - 1)
        assert locate(address) == file  # which the loader will say is of a later version
    file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    assert locate(address).read_bytes() == content


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_the_cache(served, cache, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"no room in {cache} .* {fetching.CACHE_VARIABLE}"):
        locate(served.address)


def test_a_file_of_another_kind_is_not_taken_for_weights(tmp_path):
    (tmp_path / "decoder.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is no file of weights.*of a saved decoder give the folder"):
        locate(tmp_path / "decoder.json")


@pytest.mark.parametrize(
    ("end", "match"),
    [
        ("#sha256=12ab", "64 hexadecimal"),
        ("#md5=12ab", "64 hexadecimal"),
        ("/", "ends? in .safetensors"),
        (".zip", "ends? in .safetensors"),
    ],
)
def test_addresses_that_cannot_be_right(served, end, match):
    with pytest.raises(ValueError, match=match):
        locate(served.address + end)
    assert served.requests == []


@pytest.mark.parametrize(
    "address", ["ftp://host/core.ckpt", "file:///core.ckpt", "s3://bucket/core.ckpt", "http:///a.pt"]
)
def test_other_schemes_are_refused(address):
    with pytest.raises(ValueError, match="begin with http"):
        locate(address)


def test_a_host_that_cannot_be():
    with pytest.raises(ConnectionError, match="cannot download"):
        locate("http://a..b/core.ckpt")


def test_secrets_are_not_shown(served):
    served.status = 403
    with pytest.raises(ConnectionError) as error:
        locate(f"{served.address}?signature=geheim")
    assert "geheim" not in str(error.value)
    with pytest.raises(ValueError, match="password") as error:
        locate("https://me:geheim@host/core.ckpt")
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize(("status", "kind"), [(404, FileNotFoundError), (410, FileNotFoundError),
                                              (403, ConnectionError), (500, ConnectionError)])  # fmt: skip
def test_the_server_refuses(served, cache, status, kind):
    served.status = status
    with pytest.raises(kind, match=rf"127\.0\.0\.1.*core\.ckpt.*{status}"):
        locate(served.address)
    assert loadable(cache) == parts(cache) == []


def test_nobody_answers(served, cache, monkeypatch):
    with pytest.raises(ConnectionError, match="cannot download"):
        locate("http://127.0.0.1:9/core.ckpt")
    monkeypatch.setattr(fetching, "TIMEOUT", 0.1)
    served.delay = 1.0
    with pytest.raises(ConnectionError, match="timed out"):
        locate(served.address)
    assert loadable(cache) == []


@pytest.mark.parametrize("wrong", [{"content_type": "text/html; charset=utf-8"}, {"encoding": "gzip"}])
def test_answers_that_are_not_the_file(served, cache, wrong):
    for name, value in wrong.items():
        setattr(served, name, value)
    with pytest.raises(ConnectionError, match=r"web page|encoding"):
        locate(served.address)
    assert loadable(cache) == parts(cache) == []


def test_an_encrypted_address_must_not_lead_to_one_that_is_not(served):
    from http.client import HTTPMessage
    from types import SimpleNamespace
    from urllib.parse import urlsplit

    response = SimpleNamespace(url="http://host/a.pt", headers=HTTPMessage())
    assert "not encrypted" in fetching.what_is_wrong(urlsplit("https://host/a.pt"), response)
    assert fetching.what_is_wrong(urlsplit("http://host/a.pt"), response) is None


@pytest.mark.parametrize("validator", ["etag", "last_modified"])
def test_a_cut_off_download_goes_on_where_it_stopped(served, cache, validator):
    if validator == "last_modified":
        served.etag, served.last_modified = 'W/"weak"', "Tue, 01 Jul 2025 12:00:00 GMT"
    interrupted(served, 300_000)
    assert loadable(cache) == []
    (part,) = parts(cache)
    assert part.stat().st_size == 300_000
    assert locate(served.address).read_bytes() == CONTENT
    assert served.requests[-1]["Range"] == "bytes=300000-"
    assert served.requests[-1]["If-Range"] == (served.last_modified or served.etag)
    assert parts(cache) == []


def test_a_download_may_stop_several_times(served):
    interrupted(served, 300_000)
    served.drop_after = 1000
    with pytest.raises(ConnectionError, match="stopped at 301000 of"):
        locate(served.address)
    served.drop_after = None
    assert locate(f"{served.address}#sha256={SHA256}").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(served):
    interrupted(served, 300_000)
    served.ranges = False
    assert locate(served.address).read_bytes() == CONTENT


def test_a_file_that_changed_starts_again(served):
    interrupted(served, 300_000)
    served.content, served.etag = archive(len(CONTENT)), '"second"'
    assert served.content != CONTENT
    assert locate(served.address).read_bytes() == served.content


def test_without_anything_to_tell_a_change_by_it_starts_again(served):
    served.etag = 'W/"weak"'
    served.drop_after = 300_000
    with pytest.raises(ConnectionError, match=r"bytes; try again$"):
        locate(served.address)
    served.drop_after = None
    assert locate(served.address).read_bytes() == CONTENT
    assert "Range" not in served.requests[-1]


def test_a_download_that_ended_just_before_it_got_its_name(served, cache):
    interrupted(served, 300_000)
    parts(cache)[0].write_bytes(CONTENT)  # the server has no such range then: 416
    assert locate(served.address).read_bytes() == CONTENT


def test_another_range_than_was_asked_for(served, cache):
    interrupted(served, 300_000)
    served.wrong_range = True
    with pytest.raises(ConnectionError, match="another part"):
        locate(served.address)
    assert loadable(cache) == parts(cache) == []
    assert locate(served.address).read_bytes() == CONTENT


def test_a_whole_file_that_comes_as_its_only_part(served):
    served.unasked_range = True
    assert locate(served.address).read_bytes() == CONTENT


def test_a_file_shorter_than_the_server_says(served, cache):
    served.extra_length = 10
    with pytest.raises(ConnectionError, match=f"stopped at {len(CONTENT)} of {len(CONTENT) + 10}"):
        locate(served.address)
    assert loadable(cache) == []


def test_in_chunks_the_end_is_known(served, cache):
    served.chunked = True
    served.drop_after = 300_000
    with pytest.raises(ConnectionError, match="of an unknown number of bytes"):
        locate(served.address)
    assert loadable(cache) == []
    served.drop_after = None
    assert locate(served.address).read_bytes() == CONTENT


def test_a_file_of_unknown_length_needs_a_hash(served, cache):
    served.says_length = False
    with pytest.raises(ConnectionError, match="#sha256="):
        locate(served.address)
    assert loadable(cache) == []
    assert locate(f"{served.address}#sha256={SHA256}").read_bytes() == CONTENT


def test_ctrl_c_keeps_what_has_arrived(served, cache, monkeypatch):
    class Bar:
        def __init__(self, **given):
            assert given["desc"] == "core.ckpt"
            assert given["total"] == len(CONTENT)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def update(self, n):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "tqdm", Bar)
        with pytest.raises(KeyboardInterrupt):
            locate(served.address)
    assert loadable(cache) == []
    assert locate(served.address).read_bytes() == CONTENT
    assert 0 < int(served.requests[-1]["Range"].removeprefix("bytes=").removesuffix("-")) < len(CONTENT)


def start_process(address: str, go: Path) -> subprocess.Popen[str]:
    """A process that locates the address as soon as the file ``go`` is there."""
    code = f"""
import os, time
from spikeinterface_poyo.weights.fetching import locate
print("ready", flush=True)
while not os.path.exists({str(go)!r}):
    time.sleep(0.01)
print(locate({address!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_at_the_same_time_download_once(served, tmp_path):
    served.delay = 0.5
    running = [start_process(served.address, tmp_path / "go") for _ in range(2)]
    (tmp_path / "go").touch()
    found = [process.communicate(timeout=120)[0].strip() for process in running]
    assert found[0] == found[1]
    assert Path(found[0]).read_bytes() == CONTENT
    assert len(served.requests) == 1


def test_a_process_that_was_killed_is_in_nobodys_way(served, cache, tmp_path):
    interrupted(served, 300_000)
    served.delay = 60.0
    (tmp_path / "go").touch()
    with start_process(served.address, tmp_path / "go") as process:
        while len(served.requests) < 2:
            time.sleep(0.01)
        process.kill()
    served.delay = 0.0
    assert locate(served.address).read_bytes() == CONTENT
    assert served.requests[-1]["Range"] == "bytes=300000-"


def test_threads_at_the_same_time_download_once(served):
    served.delay = 0.2
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(locate(served.address))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == len(served.requests) == 1


def test_the_platforms_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv(fetching.CACHE_VARIABLE)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    expected = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}
    for platform, folder in expected.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert fetching.cache_folder() == tmp_path / folder / "spikeinterface_poyo"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetching.cache_folder() == tmp_path / "xdg" / "spikeinterface_poyo"


def entry(**fields) -> registry.PretrainedEntry:
    return registry.PretrainedEntry("tiny", "tiny weights", "any", "any", "nobody", "@misc{tiny}", **fields)


@pytest.fixture
def enter(monkeypatch):
    """Function that makes an entry the only one of the registry."""

    def enter(**fields):
        monkeypatch.setattr(registry, "BY_NAME", {"tiny": entry(**fields)})

    return enter


def test_a_name_is_downloaded_and_its_unknowns_are_told_once(served, enter):
    enter(address=served.address)
    with pytest.warns(UserWarning, match=f"licence and the SHA-256 are unknown.*#sha256={SHA256}"):
        file = locate("tiny")
    assert file.read_bytes() == CONTENT
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert locate("tiny") == file


def test_what_is_known_is_not_warned_of(served, enter):
    enter(address=served.address, sha256=SHA256, licence="cc-by-4.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert locate("tiny").read_bytes() == CONTENT


def test_the_hash_of_a_name_is_checked(served, enter):
    enter(address=served.address, sha256="0" * 64)
    with pytest.raises(ValueError, match=SHA256):
        locate("tiny")


def test_a_name_without_an_address_tells_how_to_get_it(enter):
    enter(how_to_obtain="Ask somebody.")
    with pytest.raises(FileNotFoundError, match=r"'tiny'.*Ask somebody\."):
        locate("tiny")


def test_suffixes_may_be_in_capitals():
    assert fetching.split_address("https://host/MODEL.CKPT")[0].path == "/MODEL.CKPT"
    with pytest.raises(FileNotFoundError, match="there are no pretrained weights"):  # and no repository of a model hub
        locate("me/MODEL.CKPT")


def test_a_long_name_fits_a_file_system():
    name = cached_name(urlsplit(f"https://host/{300 * 'x'}.ckpt"))
    assert len(name.encode()) + len(".part.validator") <= 255
    assert name.endswith("x.ckpt")

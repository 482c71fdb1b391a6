"""Where pretrained weights come from: what a user gives as ``pretrained`` becomes a local file or folder.

A download is kept in the cache folder and used from there ever after, without asking the network. It gets its name only
when it is whole, of the format that its name says, and has the right hash; until then it is a ``.part`` file, which the
next attempt goes on from.
"""

from __future__ import annotations

import errno
import os
import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError
from urllib.parse import SplitResult, quote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock
from tqdm.auto import tqdm

from .. import __version__
from ..paths import existing
from ..warning import warn
from . import hub, registry
from .cache import (
    BLOCK,
    CACHE_VARIABLE,
    SUFFIXES,
    cache_folder,
    cached_name,
    is_good,
    make_writable,
    sha256_of,
    verify_format,
)
from .registry import PretrainedEntry

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # on the disk, in one's share of it, for a file so large
TIMEOUT = 30.0  # s without a byte from the server
SAFE = "%/:?#[]@!$&'()*+,;=~"  # what quoting leaves as it is in an address: it may be quoted already

_warned: set[str] = set()  # names of the entries whose unknowns this process has told


def locate(source: str | os.PathLike[str]) -> Path:
    """Local file or folder of pretrained weights, downloaded where they are not here yet.

    Parameters
    ----------
    source : str or path
        The first of these that it is: a file or folder that exists; an ``http(s)://`` address of a file, with an
        optional ``#sha256=<64 hexadecimal digits>``; a name from `list_pretrained`; a model hub's ``owner/name`` or
        ``owner/name@revision``.

    Returns
    -------
    pathlib.Path
        An existing file or folder. A downloaded file has the suffix that its address has.

    Raises
    ------
    TypeError
        Where it is neither a string nor a path.
    FileNotFoundError
        Where there is nothing of that name, here or at the address.
    ValueError
        For an address of another kind than those above, a download that is damaged or no file of weights, or one whose
        SHA-256 is not the one given. It is not kept.
    ConnectionError
        Where the network or the server fails. What has arrived is kept, and the next attempt goes on from there.
    ImportError
        For a model hub's ``owner/name`` without huggingface_hub.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"pretrained must be a string or a path; got {type(source).__name__}: {source!r}")
    path = existing(source)
    if path is not None:
        if path.is_file() and not path.name.lower().endswith(SUFFIXES):
            raise ValueError(f"{os.fspath(source)!r} is no file of weights: those end in {', '.join(SUFFIXES)}; of a "
                             "saved decoder give the folder")  # fmt: skip
        return path
    if not isinstance(source, str):
        raise FileNotFoundError(f"there is no file or folder {os.fspath(source)!r}")
    if "://" in source:
        return from_address(source)
    if source in registry.BY_NAME:
        return from_registry(registry.BY_NAME[source])
    if hub.is_repo(source) and not source.lower().endswith(SUFFIXES):
        return hub.download(*hub.split_revision(source))
    raise FileNotFoundError(
        f"there are no pretrained weights {source!r}. Give the path of a folder or file that exists, an http(s):// "
        f"address of a file, one of the names {list(registry.BY_NAME)}, or a model hub's 'owner/name'"
    )


def public_name(source: str | os.PathLike[str]) -> str | None:
    """What to call weights that `locate` found for others to know them by; None for a file or folder of the user's."""
    if existing(source) is not None:
        return None
    return shown(urlsplit(str(source))) if "://" in str(source) else str(source)


def from_registry(entry: PretrainedEntry) -> Path:
    """File of a named entry; says once what is not known of it."""
    if entry.address is None:
        raise FileNotFoundError(f"no public address of the weights {entry.name!r} is known. {entry.how_to_obtain}")
    path = from_address(entry.address if entry.sha256 is None else f"{entry.address}#sha256={entry.sha256}")
    warn_of_unknowns(entry, path)
    return path


def warn_of_unknowns(entry: PretrainedEntry, file: Path) -> None:
    """Warn, once a process, of what is not known of the weights in ``file``, and say what to do."""
    if not entry.unknown or entry.name in _warned:
        return
    _warned.add(entry.name)
    verb = "is" if len(entry.unknown) == 1 else "are"
    message = f"of the pretrained weights {entry.name!r} the {' and the '.join(entry.unknown)} {verb} unknown."
    if "licence" in entry.unknown:
        message += " Ask the authors before you pass on the weights, or what you make from them."
    if "SHA-256" in entry.unknown:
        message += (" Whether the file is the authors' cannot be checked; to get the same one everywhere, give "
                    f"pretrained='{entry.address}#sha256={sha256_of(file)}', the hash of your copy.")  # fmt: skip
    warn(message)


def from_address(address: str) -> Path:
    """File at an address, from the cache if it is there; see `locate`."""
    url, sha256 = split_address(address)
    final = cache_folder() / cached_name(url)
    if is_good(final, sha256):  # first without the lock: a cache shared by many may be read-only
        return final
    make_writable(final.parent)
    try:
        with FileLock(f"{final}.lock"):
            if not is_good(final, sha256):  # another process may have downloaded it meanwhile
                download(url, final, sha256)
    except PermissionError as error:
        raise OSError(f"{error.filename} cannot be written to, as where another user's download was cut off; remove "
                      f"it, or set the environment variable {CACHE_VARIABLE} to another folder") from error  # fmt: skip
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise OSError(f"no room in {final.parent} for what {shown(url)} gives; make some, or set the environment "
                      f"variable {CACHE_VARIABLE} to another folder") from error  # fmt: skip
    return final


def split_address(address: str) -> tuple[SplitResult, str | None]:
    """Address without its fragment, and the SHA-256 that the fragment gives.

    Raises
    ------
    ValueError
        For a fragment that is no hash, or an address that is not that of a file of weights.
    """
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"addresses of pretrained weights begin with http:// or https://; got {shown(url)!r}")
    if url.username is not None:
        raise ValueError(f"an address with a user's name or password is not supported: {shown(url)}")
    if not url.path.lower().endswith(SUFFIXES):
        raise ValueError(f"{shown(url)} is not the address of a file of weights: those end in {', '.join(SUFFIXES)}")
    given = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", url.fragment)
    if url.fragment and given is None:
        raise ValueError(f"after '#' an address may have 'sha256=' and 64 hexadecimal digits; got {url.fragment!r}")
    return url._replace(fragment=""), given[1].lower() if given else None


def shown(url: SplitResult) -> str:
    """An address for messages: without what may be secret in it."""
    host = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{host}{url.path}"


def download(url: SplitResult, final: Path, sha256: str | None) -> None:
    """Download to a ``.part`` file, or go on with it; give it its name when it is whole and its hash is right."""
    part = Path(f"{final}.part")
    with respond(url, part) as response:
        start, size = extent(url, response, part)
        if size is None and not response.chunked and sha256 is None:
            raise ConnectionError(f"the server of {shown(url)} does not say how long the file is, so that one cut off "
                                  "could not be told from a whole one; add '#sha256=' and its hash")  # fmt: skip
        if start == 0:
            restart(part, response)
        receive(url, response, part, start, size)
    got = sha256_of(part) if sha256 is not None else None
    if got != sha256:
        discard(part)
        raise ValueError(f"{shown(url)} is not the file that was asked for and is not kept: its SHA-256 is {got}, "
                         f"expected {sha256}")  # fmt: skip
    try:
        verify_format(part, final.suffix)
    except ValueError as error:
        discard(part)
        raise ValueError(f"what {shown(url)} gives is not kept: {error}") from error
    os.replace(part, final)
    discard(part)


def respond(url: SplitResult, part: Path) -> HTTPResponse:
    """The server's response: the rest of the file where it is known to be the same file still, or all of it."""
    headers = {"User-Agent": f"spikeinterface_poyo/{__version__}"}
    resuming = part.is_file() and part.stat().st_size > 0 and validator_file(part).is_file()
    if resuming:
        headers["Range"] = f"bytes={part.stat().st_size}-"
        headers["If-Range"] = validator_file(part).read_text(encoding="latin-1")
    try:
        response = urlopen(Request(quote(url.geturl(), safe=SAFE), headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and resuming:  # the file has no such rest: it has changed, or all of it is here
            discard(part)
            return respond(url, part)
        refuse(url, error)
    except (OSError, HTTPException, UnicodeError) as error:  # the last for names of hosts that cannot be
        raise ConnectionError(f"cannot download {shown(url)}: {reason(error)}") from error
    if wrong := what_is_wrong(url, response):
        response.close()
        raise ConnectionError(f"cannot download {shown(url)}: {wrong}")
    return response


def what_is_wrong(url: SplitResult, response: HTTPResponse) -> str | None:
    """Why a response cannot be the file that was asked for, in words; None where it can."""
    if url.scheme == "https" and not response.url.startswith("https:"):
        return "it leads to an address that is not encrypted; give that one if you trust it"
    if response.headers.get_content_type() == "text/html":
        return "it gives a web page, not a file; is it the page about the file, or does a network log-in stand between?"
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return "the server sends it in an encoding that was not asked for"
    return None


def refuse(url: SplitResult, error: HTTPError) -> NoReturn:
    """Say that the server would not give the file."""
    kind = FileNotFoundError if error.code in (404, 410) else ConnectionError
    raise kind(f"cannot download {shown(url)}: the server answered {error.code} {error.reason}") from error


def reason(error: Exception) -> str:
    """Why a request failed, in words."""
    return f"{type(error).__name__}: {getattr(error, 'reason', None) or error}"


def extent(url: SplitResult, response: HTTPResponse, part: Path) -> tuple[int, int | None]:
    """Where in the file the response begins, and the size of the whole file if that is known, in bytes."""
    if response.status != 206:
        return 0, response.length
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    have = part.stat().st_size if part.is_file() else 0
    if found is None or int(found[1]) != have:
        discard(part)
        raise ConnectionError(f"the server of {shown(url)} sends another part of the file than asked for; try again")
    return int(found[1]), None if found[2] == "*" else int(found[2])


def validator_file(part: Path) -> Path:
    """File with what the server called that state of the file: an ETag or a date."""
    return Path(f"{part}.validator")


def restart(part: Path, response: HTTPResponse) -> None:
    """Forget what was there, and keep what tells whether the file is still the same when a later attempt goes on."""
    discard(part)
    etag = response.headers.get("ETag", "W/")
    # A weak ETag does not promise equal bytes, so that servers do not take it for going on.
    validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
    if validator:
        validator_file(part).write_text(validator, encoding="latin-1")


def receive(url: SplitResult, response: HTTPResponse, part: Path, start: int, size: int | None) -> None:
    """Append a response to the ``.part`` file.

    Raises
    ------
    ConnectionError
        Where it ends before the file does.
    """
    name = url.path.rpartition("/")[2]
    done, failure = start, ""
    with (
        part.open("ab") as file,
        tqdm(total=size, initial=start, desc=name, unit="B", unit_scale=True, unit_divisor=1024, delay=1.0) as bar,
    ):
        try:
            # What there is, so that a stalled server loses nothing; not asked for more than all, which it may wait for.
            while done != size and (block := response.read1(BLOCK)):
                file.write(block)
                done += len(block)
                bar.update(len(block))
        except (TimeoutError, ConnectionError, HTTPException) as error:
            failure = f" ({reason(error)})"
        file.flush()
        os.fsync(file.fileno())  # or a crash of the machine could leave an empty file under the final name
    if failure or (size is not None and done != size):
        kept = validator_file(part).is_file() and (size is None or done < size)
        advice = "what has arrived is kept: try again to go on from there" if kept else "try again"
        raise ConnectionError(f"the download of {shown(url)} stopped at {done} of {size or 'an unknown number of'} "
                              f"bytes{failure}; {advice}")  # fmt: skip


def discard(part: Path) -> None:
    """Remove a ``.part`` file and what belongs to it."""
    part.unlink(missing_ok=True)
    validator_file(part).unlink(missing_ok=True)

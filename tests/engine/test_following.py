from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import random
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.waiting import wait_until
from windlass_engine.dialects.postgresql import unpacking
from windlass_engine.dialects.postgresql.reading import Reading, Rows, can
from windlass_engine.errors import WindlassError
from windlass_engine.following import Damaged, Following

END = b"\\.\n\n\n"
LIST = "; a comment\n12; 0 900 TABLE DATA public a b postgres\n13; 0 901 TABLE DATA public c postgres\n7; 1259 900 TABLE x\n"


def zstd(data: bytes) -> bytes:
    """Compress with the library that the engine decompresses with."""
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError:
        pytest.skip("libzstd.so.1 is missing: apt-get install libzstd1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    size = library.ZSTD_compressBound(len(data))
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    room = ctypes.create_string_buffer(size)
    written = library.ZSTD_compress(room, size, data, len(data), 1)
    return room.raw[:written]


WAYS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": lambda data: gzip.compress(data, 1), ".zst": zstd}


def lines(count: int) -> bytes:
    noise = random.Random(count)
    return b"".join(b"%d\t%s\n" % (number, noise.randbytes(200).hex().encode()) for number in range(count))


def fed(look: Rows, data: bytes, step: int) -> Rows:
    for at in range(0, len(data), step):
        look.feed(data[at : at + step])
    look.close()
    return look


@pytest.mark.parametrize("end", WAYS)
@pytest.mark.parametrize("count", [0, 1, 20_000])
@pytest.mark.parametrize("step", [7, 4096, 1 << 30])
def test_rows_are_counted_in_passing(end: str, count: int, step: int) -> None:
    data = WAYS[end](lines(min(count, step * 10)) + END)
    assert fed(Rows(f"1.dat{end}"), data, step).count == min(count, step * 10)


@pytest.mark.parametrize("end", [".gz", ".zst"])
@pytest.mark.parametrize("ended", [True, False])
def test_what_is_cut_anywhere_is_not_whole(end: str, ended: bool) -> None:
    data = WAYS[end](lines(300) + END)
    noise = random.Random(1)
    for cut in [0, 1, len(data) - 1, *(noise.randrange(len(data)) for _ in range(50))]:
        with pytest.raises(ValueError, match="cut short"):
            fed(Rows(f"1.dat{end}", ended), data[:cut], 1000)


def test_data_without_its_end_is_not_whole() -> None:
    for text in (b"", b"1\ta\n", b"1\ta\n\\.\n", b"1\ta" + END):
        with pytest.raises(ValueError, match="before the end of its rows"):
            fed(Rows("1.dat.gz"), gzip.compress(text), 1000)
    fed(Rows("blob_1.dat.gz", ended=False), gzip.compress(b"anything"), 1000)


def test_a_flipped_bit_in_gzip_is_found() -> None:
    data = gzip.compress(lines(300) + END, 1)
    noise = random.Random(2)
    for _ in range(50):
        bad = bytearray(data)
        bad[noise.randrange(10, len(data))] ^= 1 << noise.randrange(8)  # the header's time and name prove nothing
        with pytest.raises(ValueError, match=r"cannot be decompressed|cut short|after its end|before the end"):
            fed(Rows("1.dat.gz"), bytes(bad), 1000)


def test_more_after_the_end_is_found() -> None:
    with pytest.raises(ValueError, match="after its end"):
        fed(Rows("1.dat.gz"), gzip.compress(END) + b"x", 1000)
    with pytest.raises(ValueError, match="cannot be decompressed"):
        fed(Rows("1.dat.zst"), zstd(END) + b"something else", 1000)


def test_a_growing_folder_is_read_once_and_known_at_the_end(tmp_path: Path) -> None:
    reading = Reading()
    folder = tmp_path / "dump"
    data = {"12.dat.gz": gzip.compress(lines(5000) + END), "13.dat.gz": gzip.compress(END), "toc.dat": b"first"}
    with Following(str(tmp_path), reading.look) as following:
        folder.mkdir()
        (folder / "toc.dat").write_bytes(b"later it says something else")
        with open(folder / "12.dat.gz", "wb", buffering=0) as file:
            file.write(data["12.dat.gz"][:1000])
            wait_until(lambda: following.bytes >= 1000, what="the first part to be read")
            file.write(data["12.dat.gz"][1000:])
        (folder / "13.dat.gz").write_bytes(data["13.dat.gz"])
        (folder / "toc.dat").write_bytes(data["toc.dat"])
        found = following.finish()
    assert found == {
        f"dump/{name}": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in data.items()
    }
    (tmp_path / "list").write_text(LIST)
    assert reading.rows(str(tmp_path / "list"), {900: 'public."a b"', 901: "public.c"}) == {
        'public."a b"': 5000,
        "public.c": 0,
    }


def test_a_file_that_is_not_whole_is_named(tmp_path: Path) -> None:
    for content in (gzip.compress(END)[:-1], b"no gzip at all"):
        (tmp_path / "12.dat.gz").write_bytes(content)
        with Following(str(tmp_path), Reading().look) as following, pytest.raises(Damaged, match=r"^12\.dat\.gz "):
            following.finish()


def test_a_file_that_becomes_shorter_is_found(tmp_path: Path) -> None:
    path = tmp_path / "12.dat.gz"
    path.write_bytes(gzip.compress(lines(100) + END))
    with Following(str(tmp_path), Reading().look) as following:
        wait_until(lambda: following.bytes == path.stat().st_size, what="the file to be read")
        os.truncate(path, 100)
        with pytest.raises(Damaged, match="became shorter"):
            following.finish()


def test_a_table_without_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(LIST)
    (tmp_path / "12.dat.gz").write_bytes(gzip.compress(END))
    reading = Reading()
    with Following(str(tmp_path), reading.look) as following:
        following.finish()
    with pytest.raises(WindlassError, match=r"no data of public\.c\n"):  # its file is missing
        reading.rows(str(tmp_path / "list"), {900: "public.b", 901: "public.c"})
    with pytest.raises(WindlassError, match=r"no data of public\.d\n"):  # it is not listed
        reading.rows(str(tmp_path / "list"), {900: "public.b", 902: "public.d"})


def test_zstd_without_its_library_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_LIBRARY", "libnowhere.so.1")
    unpacking._zstd.cache_clear()
    try:
        assert not can("zstd:1")
        assert can("gzip:1")
    finally:
        unpacking._zstd.cache_clear()


class Watched:
    """Tells which priority the threads have that read."""

    def __init__(self) -> None:
        self.priorities: list[int] = []

    def feed(self, data: bytes) -> None:
        self.priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def close(self) -> None:
        """Need nothing."""


def test_who_reads_meanwhile_stands_back_and_not_at_the_end(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    watched = Watched()
    with Following(str(tmp_path), lambda path: watched) as following:
        (tmp_path / "a").write_bytes(b"first")
        wait_until(lambda: bool(watched.priorities), what="the first part to be read")
        following._end_watch()
        (tmp_path / "a").write_bytes(b"first and last")
        following.finish()
    assert watched.priorities == [min(ours + 10, 19), ours]
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


SESSION = """
import os, sys
from windlass_engine.following import Following
weight = lambda: open("/proc/self/autogroup").read().split()[-1]
if sys.argv[1] == "own":
    os.setsid()
said = [weight()]
with Following("/nonexistent", lambda path: None):
    said.append(weight())
print(*said, weight())
"""


@pytest.mark.parametrize(("whose", "weights"), [("own", "0 10 0"), ("shared", "0 0 0")])
def test_a_session_of_its_own_stands_back_too(whose: str, weights: str) -> None:
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("this kernel does not share out processors by session")
    script = f"{shlex.quote(sys.executable)} -c {shlex.quote(SESSION)} {whose}; true"
    told = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    ).stdout  # fmt: skip
    assert told.split() == weights.split()

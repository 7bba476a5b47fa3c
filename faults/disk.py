"""What a power cut leaves of a folder: all that was synced, and of the rest anything."""

import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path


class Disk:
    """A folder, and how much of it would be there after a power cut.

    A file is sure to have the bytes, and a folder the names, that it had when it was last synced. What changed since
    may have reached the disk or not: each name and each file by itself, in no order, and of a file some bytes only.

    folder : all of it is on the disk to begin with
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._bytes: dict[int, bytes] = {}  # of files, by their numbers
        self._names: dict[int, dict[str, int]] = {}  # in folders, likewise: {name: number}
        self._pins: dict[int, int] = {}  # open descriptors: while one is open no other file gets the number
        for path in [folder, *folder.rglob("*")]:
            self.sync(path)

    def sync(self, path: Path) -> None:
        """A file, or the names in a folder, are on the disk."""
        number = self._pin(path)
        if path.is_dir():
            self._names[number] = {inside.name: self._pin(inside) for inside in path.iterdir()}
        else:
            self._bytes[number] = path.read_bytes()

    def cut(self, target: Path, draws: random.Random) -> None:
        """Write into a new folder what there may be when the power is back."""
        self._now = {path.stat().st_ino: path for path in [self._root, *self._root.rglob("*")]}
        self._rebuild(self._root.stat().st_ino, target, draws)

    def _rebuild(self, number: int, target: Path, draws: random.Random) -> None:
        """A file or folder as it may be."""
        if number in self._names or (number in self._now and self._now[number].is_dir()):
            target.mkdir()
            for name, inside in self._entries(number, draws):
                self._rebuild(inside, target / name, draws)
        else:
            target.write_bytes(self._content(number, draws))

    def _entries(self, number: int, draws: random.Random) -> Iterator[tuple[str, int]]:
        now = {path.name: path.stat().st_ino for path in self._now[number].iterdir()} if number in self._now else {}
        sure = self._names.get(number, {})
        for name in sorted({*now, *sure}):
            found = draws.choice([now.get(name), sure.get(name)])
            if found is not None:
                yield name, found

    def _content(self, number: int, draws: random.Random) -> bytes:
        sure = self._bytes.get(number, b"")
        now = self._now[number].read_bytes() if number in self._now else sure
        if now == sure:
            return now
        some = now[: draws.randint(0, len(now))]
        return draws.choice([now, sure, some, some + bytes(len(now) - len(some))])

    def _pin(self, path: Path) -> int:
        number = path.stat().st_ino
        if number not in self._pins:
            self._pins[number] = os.open(path, os.O_RDONLY)
            assert stat.S_IFMT(path.stat().st_mode) in (stat.S_IFREG, stat.S_IFDIR)
        return number

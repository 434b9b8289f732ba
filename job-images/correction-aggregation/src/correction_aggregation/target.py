"""Where training data goes: a folder of a mounted volume, or a bucket.

Publishing is atomic without a lock, however many workers do the same range at once and wherever one of
them is killed:
- data files are named by their content, so writing one again writes the same bytes under the same name;
- each file appears whole or not at all: a rename on a volume, a single put on an object store;
- the manifest, which names the data files, comes last. Whoever reads it finds every file that it names.
  Until then, readers see the range as it was before.

Nothing that was published is ever deleted, since another manifest may name it. Files that no manifest
names are left behind only when rows of a range changed between two runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import fsspec

from correction_aggregation.errors import SettingsError, TargetAwayError, writing_to

INCOMING = ".incoming"
STALE_AFTER_S = 6 * 3600
"""Longer than any item may run: what is older in .incoming was left by a worker that was killed."""

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
"""fsspec's file systems whose puts are atomic; of these the image carries S3's."""


class Target(Protocol):
    def scratch(self) -> Any:
        """A context manager: a folder to write files in before they are published."""

    def publish(self, file: Path, folder: str, name: str) -> None:
        """Make the file appear whole in the target; it may be moved away."""

    def url(self, folder: str, name: str) -> str: ...


def open_target(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return VolumeTarget(Path(parts.path))
    if parts.scheme in OBJECT_STORES and parts.netloc:
        try:
            return BucketTarget(parts.scheme, parts.netloc.rpartition("@")[2], parts.path.strip("/"))
        except ImportError:
            raise SettingsError(
                f"TRAINING_DATA_URL: fsspec's library for {parts.scheme}:// is missing (S3: the extra s3)"
            ) from None
    raise SettingsError("TRAINING_DATA_URL must be like file:///training-data or s3://bucket/prefix")


@dataclass(frozen=True)
class VolumeTarget:
    """A folder. Scratch files lie on the same volume, so that a rename publishes them, and need no space
    elsewhere.
    """

    root: Path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        incoming = self.root / INCOMING
        folder = incoming / uuid.uuid4().hex
        with writing_to(str(self.root)):
            folder.mkdir(parents=True)
            _remove_stale(incoming, time.time())
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, file: Path, folder: str, name: str) -> None:
        with writing_to(str(self.root)):
            place = self.root / folder
            place.mkdir(exist_ok=True)
            _sync(file)
            file.replace(place / name)
            _sync(place)

    def url(self, folder: str, name: str) -> str:
        return f"{self.root.as_uri()}/{folder}/{name}"


class BucketTarget:
    """A prefix in a bucket. Scratch files lie in the pod's temporary folder and are put whole."""

    def __init__(self, scheme: str, bucket: str, prefix: str) -> None:
        self._base = "/".join(part for part in (bucket, prefix) if part)
        self._scheme = scheme
        self._files = fsspec.filesystem(scheme)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with writing_to(tempfile.gettempdir()):
            folder = Path(tempfile.mkdtemp(prefix="correction-aggregation-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, file: Path, folder: str, name: str) -> None:
        try:
            self._files.put_file(str(file), f"{self._base}/{folder}/{name}")
        except Exception as error:  # noqa: BLE001 - each store's client has its own; all mean that the item must come again
            problem = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise TargetAwayError(
                f"cannot write training data to {self._scheme}://{self._base}: {problem}"
            ) from None

    def url(self, folder: str, name: str) -> str:
        return f"{self._scheme}://{self._base}/{folder}/{name}"


def _remove_stale(incoming: Path, now: float) -> None:
    for left in incoming.iterdir():
        try:
            newest = max(path.stat().st_mtime for path in (left, *left.iterdir()))
        except FileNotFoundError:
            continue  # its worker has just finished
        if now - newest > STALE_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)


def _sync(path: Path) -> None:
    """The rename must not reach the disk before the content does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

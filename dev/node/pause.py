"""The image that holds a pod's namespaces open: Debian's static busybox, sleeping."""

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

from dev.errors import DevError
from dev.node.layout import PAUSE_IMAGE


def write_archive(path: Path) -> None:
    """A docker-archive with one layer that holds one file."""
    busybox = shutil.which("busybox", path="/bin:/usr/bin")
    if busybox is None:
        raise DevError("busybox is not installed", todo="apt-get install busybox-static")
    layer = _tar({"busybox": (Path(busybox).read_bytes(), 0o755)})
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Entrypoint": ["/busybox", "sleep", "infinity"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = json.dumps(
        [{"Config": f"{name}.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    ).encode()
    path.write_bytes(
        _tar(
            {f"{name}.json": (config, 0o644), "layer.tar": (layer, 0o644), "manifest.json": (manifest, 0o644)}
        )
    )


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _architecture() -> str:
    import platform

    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

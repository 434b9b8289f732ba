"""An image's name changes when something that it is made of does, and only then. Needs nothing."""

from pathlib import Path

import pytest

from dev.errors import DevError
from dev.images.context import Ignored, digest, sources, used_files
from dev.images.table import TABLE, in_order

DOCKERFILE = """\
ARG BASE=debian
FROM ${BASE} AS build
COPY --chown=1:1 pyproject.toml constraints.txt ./
COPY src/app \\
     src/app
RUN --mount=type=bind,source=data,target=/data cp /data/x . && \\
    echo COPY nothing.txt
FROM ${BASE}
COPY --from=build /opt /opt
# COPY comment.txt .
ADD https://example.com/file /file
COPY ["with space.txt", "/"]
"""


def test_sources() -> None:
    assert list(sources(DOCKERFILE)) == [
        "pyproject.toml", "constraints.txt", "src/app", "data", "with space.txt",
    ]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = ("src/app/a.py", "src/app/__pycache__/a.pyc", "src/test.py")
    for name in ("pyproject.toml", "constraints.txt", *source, "data/x", "with space.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / ".dockerignore").write_text("**/__pycache__\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def test_used_files(root: Path) -> None:
    assert [path.relative_to(root).as_posix() for path in used_files(root, DOCKERFILE)] == [
        "constraints.txt", "data/x", "pyproject.toml", "src/app/a.py", "with space.txt",
    ]  # fmt: skip


def test_a_source_that_is_not_there_is_named(root: Path) -> None:
    (root / "constraints.txt").unlink()
    with pytest.raises(DevError, match=r"copies constraints\.txt"):
        used_files(root, DOCKERFILE)


CHANGES = {
    "a used file": ("src/app/a.py", True),
    "the Dockerfile": ("Dockerfile", True),
    "a file beside": ("src/test.py", False),
    "an ignored file": ("src/app/__pycache__/a.pyc", False),
}


@pytest.mark.parametrize(("name", "matters"), CHANGES.values(), ids=CHANGES)
def test_digest_follows_content(root: Path, name: str, matters: bool) -> None:
    before = digest(root, root / "Dockerfile", {"BASE": "x"})
    with (root / name).open("a") as file:
        file.write("\n# more\n")
    assert (digest(root, root / "Dockerfile", {"BASE": "x"}) != before) is matters


def test_digest_follows_arguments_names_and_modes(root: Path) -> None:
    dockerfile = root / "Dockerfile"
    seen = {digest(root, dockerfile, {"BASE": "x"}), digest(root, dockerfile, {"BASE": "y"})}
    (root / "src/app/a.py").chmod(0o755)
    seen.add(digest(root, dockerfile, {"BASE": "x"}))
    (root / "src/app/a.py").rename(root / "src/app/b.py")
    seen.add(digest(root, dockerfile, {"BASE": "x"}))
    assert len(seen) == 4


IGNORED = [
    ("**/__pycache__", "a/b/__pycache__/c.pyc", True),
    ("**/__pycache__", "__pycache__", True),
    (".venv", ".venv/bin/python", True),
    (".venv", "tests/.venv/bin/python", False),
    ("*.md", "README.md", True),
    ("*.md", "docs/page.md", False),
    ("docs/*.md", "docs/page.md", True),
    ("**/.*_cache", "a/.mypy_cache/x", True),
    ("**/node_modules", "tests/node/v5/node_modules/bullmq/index.js", True),
    ("data?", "data1", True),
    ("data?", "data", False),
]


@pytest.mark.parametrize(("pattern", "path", "ignored"), IGNORED)
def test_dockerignore(pattern: str, path: str, ignored: bool) -> None:
    assert Ignored([pattern]).matches(path) is ignored


def test_dockerignore_lets_the_last_pattern_decide() -> None:
    rules = Ignored(["docs", "!docs/keep.md", "# docs/keep.md"])
    assert rules.matches("docs/other.md")
    assert not rules.matches("docs/keep.md")


def test_images_come_after_those_that_they_are_built_on() -> None:
    names = [image.name for image in in_order(["bullherd-correction-aggregation"])]
    assert names == ["bullherd-worker", "bullherd-correction-aggregation"]
    with pytest.raises(DevError, match="no image nonsense"):
        in_order(["nonsense"])


def test_images_of_the_tests_are_made_only_when_they_are_named() -> None:
    assert {image.name for image in TABLE} - {image.name for image in in_order()} == {"bullherd-node-worker"}
    assert [image.name for image in in_order(["bullherd-node-worker"])] == ["bullherd-node-worker"]

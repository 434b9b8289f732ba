"""What a build is lent of the host's settings for apt and pip. Needs nothing."""

from pathlib import Path

import pytest

from dev.errors import DevError
from dev.images import host

DEB822 = """\
Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main contrib
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/key.gpg] http://mirror.example/debian bookworm main contrib # remark
deb http://other.example/node nodistro main
deb-src http://mirror.example/debian bookworm main
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    monkeypatch.setattr(host, "LISTS", tmp_path / "sources.list")
    monkeypatch.setattr(host, "LISTS_FOLDER", tmp_path / "sources.list.d")
    return tmp_path


def test_reads_deb822_sources(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    lines = [source.line(suite) for source in host.package_sources("bookworm") for suite in source.suites]
    assert lines == [
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian bookworm main",
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main contrib",
    ]


def test_reads_one_line_sources(apt: Path) -> None:
    (apt / "sources.list").write_text(ONE_LINE)
    assert [source.line("bookworm") for source in host.package_sources("bookworm")] == [
        "deb [signed-by=/etc/key.gpg] http://mirror.example/debian bookworm main contrib"
    ]


def test_a_machine_without_sources_is_told_so(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://mirror.example/debian trixie main\n")
    with pytest.raises(DevError, match="no package source for Debian bookworm"):
        host.package_sources("bookworm")


def test_pip_options_come_from_pip_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://a.example/simple\nretries = 7\nuser = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://b.example/simple")
    options = host.pip_options()
    assert options["index-url"] == "https://b.example/simple"
    assert options["retries"] == "7"
    assert "user" not in options


def test_lent_files_are_read_only_and_complete(
    apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (apt / "sources.list").write_text(ONE_LINE)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    options = host.volumes(tmp_path / "lent", "bookworm")
    assert all(option.startswith("--volume=") and option.endswith(":ro") for option in options)
    assert f"--volume={wheels}:{wheels}:ro" in options
    assert f"--volume={tmp_path / 'lent/pip.conf'}:/etc/pip.conf:ro" in options
    assert "find-links" in (tmp_path / "lent/pip.conf").read_text()

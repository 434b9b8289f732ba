"""Settings from the environment, and errors that help without telling secrets. Needs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from correction_aggregation.cli import main
from correction_aggregation.errors import SettingsError
from correction_aggregation.settings import database_settings, target_settings
from correction_aggregation.target import VolumeTarget, open_target
from tests.fixtures.redis import free_port


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE", "TRAINING_DATA_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_names_that_postgres_urls_have(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://app:in-the-url@db:5433/rlhf?sslmode=require")
    url = database_settings().url()
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://app:in-the-url@db:5433/rlhf?sslmode=require"
    )


def test_a_password_of_its_own_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db/rlhf")
    monkeypatch.setenv("DATABASE_PASSWORD", "p@ss/w:rd")
    assert database_settings().url().password == "p@ss/w:rd"


def test_a_password_of_its_own_by_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file \n")
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db/rlhf")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    assert database_settings().url().password == "from a file "


def test_a_missing_password_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db/rlhf")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(SettingsError, match=r"password cannot be read: No such file"):
        database_settings().url()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL: field required"):
        database_settings()
    with pytest.raises(SettingsError, match="TRAINING_DATA_URL: field required"):
        target_settings()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://app:s3cret@db/rlhf",
        "s3cret",
        "postgresql://app:s3cret@db:port/rlhf",
        "postgresql+asyncpg://s3cret@x/",
    ],
)
def test_an_url_that_cannot_work_is_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SettingsError, match="postgresql://") as caught:
        database_settings().url()
    assert "s3cret" not in str(caught.value)


def test_a_volume() -> None:
    assert open_target("file:///training-data/of the team") == VolumeTarget(
        Path("/training-data/of the team")
    )


@pytest.mark.parametrize(
    "url", ["/training-data", "file://training-data", "ftp://host/x", "s3://", "s3:bucket", ""]
)
def test_a_target_that_cannot_work(url: str) -> None:
    with pytest.raises(SettingsError, match=r"must be like file:///training-data or s3://bucket/prefix"):
        open_target(url)


def test_a_target_whose_library_is_missing() -> None:
    with pytest.raises(SettingsError, match="library for gs:// is missing"):
        open_target("gs://bucket/prefix")


def test_the_command_line_says_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate"]) == 1
    assert capsys.readouterr().err == (
        "correction-aggregation: the environment is not complete: DATABASE_URL: field required\n"
    )
    port = free_port()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app:s3cret@127.0.0.1:{port}/rlhf")
    assert main(["migrate", "--wait", "0"]) == 1
    assert capsys.readouterr().err == (
        f"correction-aggregation: the corrections database at 127.0.0.1:{port}/rlhf "
        "cannot be reached: connection refused\n"
    )

"""The settings of the worker and of the command line: read once, from the environment.

The password may come apart from the URL, by variable or by file, so that the URL can be in plain sight in
a manifest.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from correction_aggregation.errors import SettingsError

POSTGRES_NAMES = {"postgres", "postgresql", "postgresql+psycopg"}


class DatabaseSettings(BaseSettings):
    """DATABASE_URL, and DATABASE_PASSWORD or DATABASE_PASSWORD_FILE."""

    model_config = SettingsConfigDict(env_ignore_empty=True, hide_input_in_errors=True)

    database_url: SecretStr
    """postgresql://user@host:5432/database; a query such as ?sslmode=verify-full is passed on to libpq."""

    database_password: SecretStr | None = None
    """Takes the place of the URL's password."""

    database_password_file: Path | None = None
    """A file with the password, such as a mounted Secret; read at every start."""

    def url(self) -> URL:
        try:
            url = make_url(self.database_url.get_secret_value())
        except (ArgumentError, ValueError):
            raise SettingsError(
                "DATABASE_URL is not a URL like postgresql://user@host:5432/database"
            ) from None
        if url.drivername not in POSTGRES_NAMES:
            raise SettingsError("DATABASE_URL must start with postgresql://")
        password = self._password()
        url = url.set(drivername="postgresql+psycopg")
        return url if password is None else url.set(password=password)

    def _password(self) -> str | None:
        if self.database_password is not None:
            return self.database_password.get_secret_value()
        if self.database_password_file is None:
            return None
        try:
            return self.database_password_file.read_text().removesuffix("\n")
        except OSError as error:
            raise SettingsError(
                f"DATABASE_PASSWORD_FILE {self.database_password_file} cannot be read: {error.strerror}"
            ) from None


class TargetSettings(BaseSettings):
    """TRAINING_DATA_URL; S3's credentials, region and endpoint are the usual AWS_… variables."""

    model_config = SettingsConfigDict(env_ignore_empty=True, hide_input_in_errors=True)

    training_data_url: str
    """file:///training-data or s3://bucket/prefix."""


def database_settings() -> DatabaseSettings:
    try:
        return DatabaseSettings()
    except ValidationError as error:
        raise _readable(error) from None


def target_settings() -> TargetSettings:
    try:
        return TargetSettings()
    except ValidationError as error:
        raise _readable(error) from None


def _readable(error: ValidationError) -> SettingsError:
    problems = (f"{str(e['loc'][0]).upper()}: {e['msg'].lower()}" for e in error.errors(include_input=False))
    return SettingsError(f"the environment is not complete: {'; '.join(problems)}")

"""Who calls an aggregated API: what the API servers say of themselves, and users as they name them.

An API server that passes a request on is the front proxy: it shows a client certificate by an authority that
it published beforehand in a ConfigMap, and says in headers for whom it speaks. The rules are those of
Kubernetes' own library for such servers: which names the certificate may have (none listed: any), the first
user header with a value, all group headers, extras by prefix with percent-encoded keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote

ANONYMOUS = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody as Kubernetes knows them. ``extra``: keys with their values."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def authenticated(self) -> User:
        """The same with the group of all who have logged in, if they have."""
        if self.name == ANONYMOUS or {AUTHENTICATED, UNAUTHENTICATED} & set(self.groups):
            return self
        return replace(self, groups=(*self.groups, AUTHENTICATED))


class UnusableConfiguration(ValueError):  # noqa: N818 - it is the configuration that is unusable
    """The API servers' configuration does not say what it should; ``str()`` is a sentence."""


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """How to know the front proxy. ``authorities``: PEM, or empty where API servers pass nothing on."""

    authorities: str = ""
    names: frozenset[str] = frozenset()
    username_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> Self:
        """From the data of the ConfigMap; raises ``UnusableConfiguration``."""
        return cls(
            authorities=data.get("requestheader-client-ca-file", ""),
            names=frozenset(_strings(data, "requestheader-allowed-names")),
            username_headers=_strings(data, "requestheader-username-headers"),
            uid_headers=_strings(data, "requestheader-uid-headers"),
            group_headers=_strings(data, "requestheader-group-headers"),
            extra_prefixes=_strings(data, "requestheader-extra-headers-prefix"),
        )

    def accepts(self, common_name: str) -> bool:
        """Whether a verified certificate of this name is the front proxy's."""
        return not self.names or common_name in self.names

    def user(self, headers: Iterable[tuple[str, str]]) -> User | None:
        """For whom the front proxy speaks; None when it does not say."""
        given = [(name.lower(), value) for name, value in headers]
        names = _values(given, self.username_headers)
        if not names:
            return None
        extra: dict[str, list[str]] = {}
        for prefix in map(str.lower, self.extra_prefixes):
            for name, value in given:
                if name.startswith(prefix):
                    extra.setdefault(unquote(name.removeprefix(prefix)), []).append(value)
        return User(
            name=names[0],
            uid=next(iter(_values(given, self.uid_headers)), ""),
            groups=tuple(_values(given, self.group_headers)),
            extra=tuple((key, tuple(values)) for key, values in extra.items()),
        )


def _values(given: Iterable[tuple[str, str]], wanted: Iterable[str]) -> list[str]:
    """What the wanted headers say, in their order, without empty ones."""
    return [value for want in wanted for name, value in given if name == want.lower() and value]


def _strings(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    text = data.get(key) or "[]"
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, list) or not all(isinstance(one, str) and one.strip() for one in parsed):
        raise UnusableConfiguration(f"{key} is {text!r}, which is no JSON list of names.")
    return tuple(one.strip() for one in parsed)

"""The front proxy's certificate names and headers, and the users that it speaks for. Needs nothing."""

from __future__ import annotations

import json

import pytest

from bullherd.core.callers import FrontProxy, UnusableConfiguration, User

DATA = {
    "client-ca-file": "another authority",
    "requestheader-client-ca-file": "PEM",
    "requestheader-allowed-names": '["front-proxy-client", "other"]',
    "requestheader-username-headers": '["X-Remote-User", "X-Second-User"]',
    "requestheader-uid-headers": '["X-Remote-Uid"]',
    "requestheader-group-headers": '["X-Remote-Group", "X-More-Groups"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-", "X-Team-"]',
}
PROXY = FrontProxy.parse(DATA)


def test_only_the_front_proxys_authorities_count() -> None:
    assert PROXY.authorities == "PEM"


@pytest.mark.parametrize(
    ("names", "accepted"),
    [
        ('["front-proxy-client", "other"]', {"front-proxy-client", "other"}),
        ("[]", {"front-proxy-client", "other", "anybody", ""}),
        ("", {"front-proxy-client", "other", "anybody", ""}),
    ],
    ids=["those that are listed", "any, of an empty list", "any, of no list"],
)
def test_names(names: str, accepted: set[str]) -> None:
    proxy = FrontProxy.parse({**DATA, "requestheader-allowed-names": names})
    assert {
        name for name in ("front-proxy-client", "other", "anybody", "") if proxy.accepts(name)
    } == accepted


def test_where_api_servers_pass_nothing_on_nobody_certifies_callers() -> None:
    assert FrontProxy.parse({"client-ca-file": "another authority"}) == FrontProxy()


@pytest.mark.parametrize("value", ["front-proxy-client", "{}", '"x"', "[1]", '[""]', '["x", " "]', "null"])
@pytest.mark.parametrize("key", sorted(DATA.keys() - {"client-ca-file", "requestheader-client-ca-file"}))
def test_a_list_that_is_none_is_refused(key: str, value: str) -> None:
    with pytest.raises(UnusableConfiguration, match=key):
        FrontProxy.parse({**DATA, key: value})


@pytest.mark.parametrize(
    ("headers", "user"),
    [
        ([], None),
        ([("X-Remote-User", "")], None),
        ([("X-Remote-Group", "g")], None),
        ([("X-Remote-User", "ann")], User("ann")),
        ([("x-REMOTE-user", "ann")], User("ann")),
        ([("X-Second-User", "bob"), ("X-Remote-User", "ann")], User("ann")),
        ([("X-Remote-User", ""), ("X-Second-User", "bob")], User("bob")),
        ([("X-Remote-User", "ann"), ("X-Remote-User", "bob")], User("ann")),
        ([("X-Remote-User", "ann"), ("X-Remote-Uid", "u-1")], User("ann", uid="u-1")),
        (
            [
                ("X-More-Groups", "c"),
                ("X-Remote-Group", "a"),
                ("X-Remote-User", "ann"),
                ("x-remote-group", "b"),
                ("X-Remote-Group", ""),
            ],
            User("ann", groups=("a", "b", "c")),
        ),
        (
            [
                ("X-Remote-User", "ann"),
                ("X-Remote-Extra-Scopes", "read"),
                ("X-Remote-Extra-scopes", "write"),
                ("X-Remote-Extra-Acme.com%2Fproject", "p"),
                ("X-Team-Name", "t"),
            ],
            User(
                "ann", extra=(("scopes", ("read", "write")), ("acme.com/project", ("p",)), ("name", ("t",)))
            ),
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, list) else "",
)
def test_the_user_of_headers(headers: list[tuple[str, str]], user: User | None) -> None:
    assert PROXY.user(headers) == user


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        (User("ann"), ("system:authenticated",)),
        (User("ann", groups=("a",)), ("a", "system:authenticated")),
        (User("ann", groups=("system:authenticated", "a")), ("system:authenticated", "a")),
        (User("ann", groups=("system:unauthenticated",)), ("system:unauthenticated",)),
        (User("system:anonymous"), ()),
    ],
)
def test_who_has_logged_in_is_in_the_group_of_all_who_have(user: User, groups: tuple[str, ...]) -> None:
    assert user.authenticated.groups == groups

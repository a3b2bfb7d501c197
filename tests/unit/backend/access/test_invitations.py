"""Invitations: what lets in, and what does not."""

import base64
import json
import stat
from pathlib import Path

import jwt
import pytest

from backend.access.invitations import (
    KEY_VARIABLE,
    InvitationError,
    check_invitation,
    existing_key,
    key_made_if_missing,
    new_invitation,
    sign,
)
from backend.settings import StartError

KEY = "k" * 32
NOW = 1_700_000_000.0


def issue_invitation(session: str, *, key: str, ttl: float, now: float) -> str:
    return sign(new_invitation(session, ttl=ttl, now=now), key=key)


def refused(token: str, *, session: str = "demo", key: str | None = KEY, now: float = NOW) -> tuple[str, str]:
    with pytest.raises(InvitationError) as raised:
        check_invitation(token, session=session, key=key, now=now)
    return raised.value.code, raised.value.message


def test_an_invitation_lets_into_its_session_until_it_expires() -> None:
    token = issue_invitation("demo", key=KEY, ttl=60, now=NOW)
    assert check_invitation(token, session="demo", key=KEY, now=NOW + 59).session == "demo"
    assert check_invitation(token, session="", key=KEY, now=NOW).role == "guest"
    assert refused(token, now=NOW + 60)[0] == "invitation-expired"


def test_no_invitation() -> None:
    assert refused("")[0] == "invitation-required"


def test_an_invitation_to_another_session() -> None:
    code, message = refused(issue_invitation("other", key=KEY, ttl=60, now=NOW))
    assert code == "invitation-invalid"
    assert "another session" in message


def forged(claims: dict[str, object], algorithm: str = "HS256", key: str = KEY) -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


CLAIMS: dict[str, object] = {"iss": "ice-console", "aud": "demo", "iat": int(NOW), "exp": int(NOW) + 60}


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "\ud800",
        forged(CLAIMS, key="z" * 32),
        forged(CLAIMS | {"iss": "somebody"}),
        forged(CLAIMS | {"aud": ["demo", "other"]}),
        forged(CLAIMS | {"exp": "soon"}),
        forged({name: value for name, value in CLAIMS.items() if name != "exp"}),
        forged({name: value for name, value in CLAIMS.items() if name != "aud"}),
        forged(CLAIMS, algorithm="HS512", key=KEY * 2),
        jwt.encode(CLAIMS, "", algorithm="none"),
    ],
)
def test_forged_and_broken_invitations(token: str) -> None:
    code, message = refused(token)
    assert code == "invitation-invalid"
    assert token not in message


def test_a_changed_session_breaks_the_signature() -> None:
    header, _, signature = issue_invitation("demo", key=KEY, ttl=60, now=NOW).split(".")
    claims = base64.urlsafe_b64encode(json.dumps(CLAIMS | {"aud": "other"}).encode()).rstrip(b"=").decode()
    assert refused(f"{header}.{claims}.{signature}", session="other")[0] == "invitation-invalid"


def test_an_operator_may_open_any_session() -> None:
    token = sign(new_invitation("", name="Ada", ttl=60, now=NOW), key=KEY)
    for session in ("demo", "other", ""):
        grant = check_invitation(token, session=session, key=KEY, now=NOW)
        assert (grant.role, grant.session, grant.name) == ("operator", "", "Ada")


def test_an_invitation_for_one_run_is_good_for_no_other() -> None:
    token = sign(new_invitation("", ttl=60, now=NOW), key=KEY, run="one")
    assert check_invitation(token, session="demo", key=KEY, now=NOW, run="one").role == "operator"
    with pytest.raises(InvitationError) as raised:
        check_invitation(token, session="demo", key=KEY, now=NOW, run="two")
    assert raised.value.code == "invitation-expired"


@pytest.mark.parametrize("claims", [{"role": "operator"}, {"aud": ""}, {"role": "root"}, {"jti": 5}, {"name": None}])
def test_roles_that_do_not_fit_are_refused(claims: dict[str, object]) -> None:
    assert refused(forged(CLAIMS | claims))[0] == "invitation-invalid"


def test_without_a_key_nothing_is_valid() -> None:
    assert refused(issue_invitation("demo", key=KEY, ttl=60, now=NOW), key=None)[0] == "invitation-invalid"


@pytest.mark.parametrize(("session", "ttl"), [("a/b", 60), ("../x", 60), ("demo", 0), ("demo", -1), ("demo", 10**9)])
def test_what_cannot_be_issued(session: str, ttl: int) -> None:
    with pytest.raises(StartError):
        issue_invitation(session, key=KEY, ttl=ttl, now=NOW)


def test_the_key_of_the_environment_comes_first(tmp_path: Path) -> None:
    environ = {KEY_VARIABLE: KEY, "XDG_STATE_HOME": str(tmp_path)}
    assert key_made_if_missing(environ) == existing_key(environ) == KEY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "short", "k" * 31])
def test_a_short_key_is_refused(key: str) -> None:
    with pytest.raises(StartError, match=f"{KEY_VARIABLE}: .* at least 32") as raised:
        existing_key({KEY_VARIABLE: key})
    assert not key or key not in str(raised.value)


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    assert existing_key(environ) is None
    key = key_made_if_missing(environ)
    assert len(key) >= 32
    assert key_made_if_missing(environ) == existing_key(environ) == key
    [file] = (tmp_path / "state" / "ice-console").iterdir()
    assert file.name == "invitation.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_key_file_is_in_the_home_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    key_made_if_missing({})
    assert (tmp_path / ".local" / "state" / "ice-console" / "invitation.key").is_file()


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (b"\xef\xbb\xbf" + KEY.encode() + b"\r\n", ""),
        (KEY.encode() + b"\n\n", ""),
        (KEY.encode("utf-16"), "must be text in UTF-8"),
        (KEY.encode("utf-16-le"), "must be one line of text in UTF-8"),
        (b"\xe4" * 40, "must be text in UTF-8"),
        (KEY.encode() + b"\n" + KEY.encode(), "must be one line"),
    ],
)
def test_a_key_file_is_read_as_editors_write_it(tmp_path: Path, written: bytes, rule: str) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    path = tmp_path / "ice-console" / "invitation.key"
    path.parent.mkdir()
    path.write_bytes(written)
    if not rule:
        assert existing_key(environ) == KEY
        return
    with pytest.raises(StartError, match=rule) as raised:
        existing_key(environ)
    assert str(raised.value).startswith(str(path))


def test_a_user_that_nobody_has_heard_of_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(StartError, match=f"no HOME, .*: set XDG_STATE_HOME or {KEY_VARIABLE}$"):
        existing_key({})


def test_a_key_file_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StartError, match="cannot be"):
        key_made_if_missing({"XDG_STATE_HOME": str(tmp_path / "file")})

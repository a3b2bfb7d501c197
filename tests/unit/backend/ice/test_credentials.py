"""Ephemeral TURN credentials, against values computed with OpenSSL."""

import pytest

from backend.ice.credentials import turn_credentials


@pytest.mark.parametrize(
    ("secret", "name", "expires", "username", "credential"),
    [
        # printf %s '<username>' | openssl dgst -sha1 -hmac '<secret>' -binary | openssl base64
        ("north-secret", "demo", 1700003600, "1700003600:demo", "kO60qsp7BsFgtUpsr4rZFFWHHag="),
        ("sch\u00fcssel", "a.b_c-d", 1800000000, "1800000000:a.b_c-d", "nDhuAxx5JZtMLnvmQRXp4XFJf4Y="),
    ],
)
def test_the_password_is_what_openssl_computes(
    secret: str, name: str, expires: int, username: str, credential: str
) -> None:
    credentials = turn_credentials(secret, name=name, expires=expires)
    assert (credentials.username, credentials.credential) == (username, credential)


def test_the_password_is_not_in_the_repr() -> None:
    credentials = turn_credentials("s", name="n", expires=1)
    assert credentials.credential not in repr(credentials)

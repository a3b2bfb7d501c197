"""Certificates that cannot be used: one line each, that names the file and the rule."""

import codecs
import datetime as dt
import re
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from backend.settings import StartError, TlsFiles
from backend.web.certificates import Certificates, check_pair

NOW = dt.datetime.now(dt.UTC)
BEGAN = NOW - dt.timedelta(days=90)


def issue(
    folder: Path, *, begins: dt.datetime = BEGAN, expires: dt.datetime | None = None, name: str = "pair"
) -> TlsFiles:
    issued = trustme.CA().issue_cert("127.0.0.1", not_before=begins, not_after=expires)
    files = TlsFiles(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(files.key)
    return files


def test_a_good_pair_is_taken_and_another_one_in_its_place(tmp_path: Path) -> None:
    files = issue(tmp_path)
    certificates = Certificates(files)
    other = issue(tmp_path, name="other")
    for source, target in ((other.certificate, files.certificate), (other.key, files.key)):
        target.write_bytes(source.read_bytes())
    certificates.read()
    assert (
        serial_of(certificates.context) == x509.load_pem_x509_certificate(other.certificate.read_bytes()).serial_number
    )


def serial_of(context: ssl.SSLContext) -> int:
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller, server = client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for end in (caller, server) * 2:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return x509.load_der_x509_certificate(caller.getpeercert(binary_form=True) or b"").serial_number


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    files = issue(tmp_path)
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(StartError, match=rf"^{re.escape(str(files.key))}: the key wants a passphrase"):
        check_pair(files)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    files = TlsFiles(certificate=issue(tmp_path).certificate, key=issue(tmp_path, name="other").key)
    with pytest.raises(StartError, match=r"other\.key: is not the key of the first certificate in .*pair\.crt$"):
        check_pair(files)


def test_one_that_has_expired_is_refused_and_what_was_there_stays(tmp_path: Path) -> None:
    files = issue(tmp_path)
    certificates = Certificates(files)
    before = serial_of(certificates.context)
    issue(tmp_path, expires=NOW - dt.timedelta(days=1))
    with pytest.raises(StartError, match=rf"^{re.escape(str(files.certificate))}: the certificate has expired$"):
        certificates.read()
    assert serial_of(certificates.context) == before


def test_one_that_is_not_valid_yet_is_refused(tmp_path: Path) -> None:
    files = issue(tmp_path, begins=NOW + dt.timedelta(days=1))
    with pytest.raises(StartError, match=rf"^{re.escape(str(files.certificate))}: the certificate is not valid yet"):
        check_pair(files)


def test_when_it_expires_is_known(tmp_path: Path) -> None:
    until = NOW + dt.timedelta(days=3)
    assert check_pair(issue(tmp_path, expires=until)) == pytest.approx(until.timestamp(), abs=1)


@pytest.mark.parametrize("text", [b"", b"nothing", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_what_is_no_pem_is_named(tmp_path: Path, text: bytes) -> None:
    files = issue(tmp_path)
    key = files.key.read_bytes()
    files.key.write_bytes(text)
    with pytest.raises(StartError, match=r"pair\.key: cannot be used"):
        check_pair(files)
    files.key.write_bytes(key)
    files.certificate.write_bytes(text)
    with pytest.raises(StartError, match=r"pair\.crt: is no certificate"):
        check_pair(files)


def test_files_of_windows_are_read(tmp_path: Path) -> None:
    files = issue(tmp_path)
    for file in (files.certificate, files.key):
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes().replace(b"\n", b"\r\n"))
    check_pair(files)


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_files_in_utf_16_are_named(tmp_path: Path, which: str) -> None:
    files = issue(tmp_path)
    file: Path = getattr(files, which)
    file.write_bytes(file.read_text(encoding="ascii").encode("utf-16"))
    with pytest.raises(StartError, match=rf"^{re.escape(str(file))}: is UTF-16; PEM is plain ASCII$"):
        check_pair(files)


def test_a_file_that_the_user_of_the_service_may_not_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = issue(tmp_path)
    read = Path.read_bytes

    def refused(path: Path) -> bytes:  # root, who runs these tests, may read all
        if path == files.key:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(StartError, match=rf"^{re.escape(str(files.key))}: cannot be read: Permission denied$"):
        check_pair(files)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    files = issue(tmp_path)
    with pytest.raises(StartError, match="cannot be read: Is a directory"):
        check_pair(TlsFiles(certificate=tmp_path, key=files.key))

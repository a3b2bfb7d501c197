"""The certificate and its key: read, verified as a client would, and replaced while connections go on."""

import codecs
import ssl
from pathlib import Path

from backend.settings import Mistakes, StartError, TlsFiles


class Certificates:
    """The TLS context of the server's sockets. `context` stays the same object when a new pair is read."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the pair. Raises `StartError`."""
        self.files = files
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.expires: float | None = None
        """Unix time, seconds; None if it is not known."""
        self.read()

    def read(self) -> None:
        """Read the pair again; existing connections keep theirs. If it raises `StartError`, nothing changes."""
        self.expires = check_pair(self.files)
        _load(self.context, self.files)


def check_pair(files: TlsFiles) -> float | None:
    """Return when the certificate expires (Unix time, seconds), or None if that is unknown.

    Raises `StartError`, a line for each file that cannot be read, or one if a server cannot use these files, or every
    browser would refuse them.
    """
    mistakes = Mistakes()
    for file in (files.certificate, files.key):
        with mistakes.collecting():
            try:
                file.read_bytes()
            except FileNotFoundError:
                raise StartError(f"{file}: no such file") from None
            except OSError as error:
                raise StartError(f"{file}: cannot be read: {error.strerror}") from None
    mistakes.stop_if_any()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    return _expiry(context, files.certificate)


class _PassphraseError(Exception):
    """The key has a passphrase."""


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    def refuse() -> str:  # else OpenSSL would ask at the terminal, and wait
        raise _PassphraseError

    try:
        context.load_cert_chain(files.certificate, files.key, password=refuse)
    except _PassphraseError:
        raise StartError(f"{files.key}: the key wants a passphrase; write it without one: openssl pkey") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            rule = f"is not the key of the first certificate in {files.certificate}"
            raise StartError(f"{files.key}: {rule}") from None
        raise StartError(_culprit(files)) from None
    except OSError as error:
        raise StartError(f"{files.certificate}, {files.key}: cannot be read: {error.strerror}") from None


def _culprit(files: TlsFiles) -> str:
    for file in (files.certificate, files.key):
        if file.read_bytes().startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return f"{file}: is UTF-16; PEM is plain ASCII"
    try:
        ssl.create_default_context().load_verify_locations(files.certificate)
    except ssl.SSLError:
        return f"{files.certificate}: is no certificate in PEM"
    return f"{files.key}: cannot be used: it must be a private key in PEM, of a kind and size that TLS allows"


def _expiry(server: ssl.SSLContext, certificate: Path) -> float | None:
    """Handshake with a client that trusts this certificate: the standard library has no other way to read the dates."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            if rule := _REFUSED_BY_ALL.get(error.verify_code):
                raise StartError(f"{certificate}: {rule}") from None
            return None
        except ssl.SSLError:  # another problem, for clients to judge
            return None
    until = (ends[0].getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(until) if isinstance(until, str) else None


_REFUSED_BY_ALL = {
    9: "the certificate is not valid yet; or this machine's clock is wrong",  # X509_V_ERR_CERT_NOT_YET_VALID
    10: "the certificate has expired",  # X509_V_ERR_CERT_HAS_EXPIRED
}

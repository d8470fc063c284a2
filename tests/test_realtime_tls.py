"""A service that speaks TLS: OpenAI's client of npm connects to no other one. serving/tls.py."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from npm_fixtures import npm_package
from realtime_exchange_fixtures import check_exchange, write_exchange
from realtime_service_fixtures import run, speaking
from serving_fixtures import ALICE

from models.errors import InvalidRequest
from serving.processes import certificate_of
from serving.settings import Settings
from serving.tls import self_signed

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(a service that speaks TLS, the certificate that it has made for itself)"""
    folder = tmp_path_factory.mktemp("tls")
    with speaking(folder, self_signed=True) as (running, _):
        yield running.url, folder / "tls" / "self-signed.pem"


def test_npms_client_trusts_the_certificate(
    pytestconfig: pytest.Config, secured: tuple[str, Path], tmp_path: Path
) -> None:
    folder, (url, certificate) = npm_package(pytestconfig, "openai", "ws"), secured
    write_exchange(tmp_path / "exchange.txt")
    command = ("node", HERE / "realtime_npm.mjs", folder, url, ALICE, tmp_path / "exchange.txt")
    check_exchange(run(*command, NODE_EXTRA_CA_CERTS=str(certificate)))


def test_the_certificate_is_for_this_machine_and_its_key_for_its_owner(secured: tuple[str, Path]) -> None:
    url, certificate = secured
    assert url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=certificate)
    with httpx.Client(verify=trusting) as client:
        for name in ("127.0.0.1", "localhost"):
            assert client.get(f"{url.replace('127.0.0.1', name)}/health").status_code == 200
    with httpx.Client() as suspicious, pytest.raises(httpx.ConnectError):
        suspicious.get(url)
    assert certificate.with_suffix(".key").stat().st_mode & 0o777 == 0o600


def test_what_is_said_of_certificates_must_go_together(tmp_path: Path) -> None:
    certificate = tmp_path / "own.pem"
    certificate.write_text("a certificate")
    with pytest.raises(InvalidRequest, match="self_signed: is given beside certfile"):
        Settings(self_signed=True, certfile=str(certificate))
    with pytest.raises(InvalidRequest, match="keyfile: is given without certfile"):
        Settings(keyfile=str(certificate))
    with pytest.raises(InvalidRequest, match=r"keyfile: is .*there is no such file"):
        Settings(certfile=str(certificate), keyfile=str(tmp_path / "none"))
    given = Settings(certfile=str(certificate))
    assert given.base_url(8443) == "https://127.0.0.1:8443"
    with pytest.raises(InvalidRequest, match=r"certfile: is '.*own.pem', which is no certificate as PEM"):
        certificate_of(given)
    made, other = (self_signed(tmp_path / name, ["localhost"]) for name in ("made", "other"))
    assert certificate_of(Settings(certfile=str(made.certfile), keyfile=str(made.keyfile))) == made
    with pytest.raises(InvalidRequest, match=r"certfile: .* or not that of the key"):
        certificate_of(Settings(certfile=str(made.certfile), keyfile=str(other.keyfile)))
    assert certificate_of(Settings()) is None

"""Headers, statuses and redirects: a value or our error, and never a secret in what is told."""

import base64
import re
from urllib.parse import urlsplit

import requests
from hypothesis import strategies as st
from urllib3.util import parse_url

from ctadata_providers import Config, CtaError
from ctadata_providers.backends.base import FileInfo
from ctadata_providers.backends.entries import number
from ctadata_providers.backends.reading import check_range, total_size
from ctadata_providers.backends.servers import Server, identify
from ctadata_providers.checksum import ALGORITHMS, new_hasher, parse_digests
from ctadata_providers.credentials import Token, resolve
from ctadata_providers.errors import CredentialError, StorageError, TransientError
from ctadata_providers.retry import RetryPolicy
from ctadata_providers.session import Request, Response
from ctadata_providers.session.exchange import Exchange, Wire
from ctadata_providers.session.headers import fields
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.redirects import Hop, follow
from ctadata_providers.session.status import _retry_after, error_for, error_for_curl
from ctadata_providers.transport.trust import Trust
from tests.fuzz.corpus import DATES, DIGESTS, LOCATIONS, RANGES, REASONS
from tests.fuzz.engine import either, holds
from tests.fuzz.strategies import changed, header_text, odd_text

TOKEN = "an-opaque-token-0123456789"
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
SECRETS = (TOKEN, UUID, "wonderland")
DOOR = "https://door.example:2880/lst/run"
SIGNED = f"{DOOR}?dcache-http-uuid={UUID}&authz=Bearer%20{TOKEN}"
SERVERS = ("XrootD/v5.8.1", "dCache/9.2.47", "Apache/2.4.71 (Debian)", "Cheroot/11.1.2", "nginx")
CONFIGS = {
    f"{'trusted' if hosts else 'strict'}{', http' if http else ''}": Config(
        door_url="https://door.example:2880", token=TOKEN, trusted_hosts=hosts, allow_http_pools=http
    )
    for hosts in ((), ("*.trusted.example", "192.0.2.7"))
    for http in (False, True)
}
HOST = re.compile(r"[a-z0-9_][a-z0-9_.-]*|[0-9a-f:.]*:[0-9a-f:.]*")
digests = st.one_of(header_text, changed(DIGESTS, "=:,;/+ 0aF\xff"))
locations = st.one_of(header_text, changed(LOCATIONS))
secret_text = st.builds(
    lambda parts: "".join(parts),
    st.lists(
        st.one_of(odd_text, st.sampled_from([*SECRETS, *REASONS, TOKEN[:15], f"authz={TOKEN}", f"uuid={UUID}"])),
        max_size=4,
    ),
)


def assert_told(error: CtaError) -> None:
    """Check that what a user reads is one line of reasonable length without a secret."""
    text = f"{error} {error!r} {error.args!r}"

    for secret in SECRETS:
        assert secret not in text
        assert secret[:15] not in text or secret == "wonderland"
    assert str(error).isprintable()
    assert len(str(error)) < 1000


@holds(values=st.lists(digests, max_size=3))
def test_a_digest_is_hexadecimal_of_the_right_length_or_none(values: list[str]) -> None:
    for algorithm, digest in parse_digests(values).items():
        assert re.fullmatch(r"[0-9a-f]+", digest)
        assert len(digest) == len(new_hasher(algorithm).hexdigest())


@holds(
    data=st.binary(max_size=20), algorithm=st.sampled_from(ALGORITHMS), form=st.sampled_from(["hex", "base64", "repr"])
)
def test_a_digest_is_read_as_it_was_written(data: bytes, algorithm: str, form: str) -> None:
    hasher = new_hasher(algorithm)
    hasher.update(data)
    right = hasher.hexdigest()
    packed = base64.b64encode(bytes.fromhex(right)).decode()
    written = {"hex": right.upper(), "base64": packed, "repr": f":{packed}:"}[form]

    assert parse_digests([f"other=x, {algorithm.upper()}={written},"]) == {algorithm: right}


@holds(
    text=st.one_of(header_text, changed(RANGES, "bytes -/*0123456789=")),
    start=st.integers(0, 40),
    size=st.integers(1, 40),
)
def test_a_range_is_the_one_that_was_asked_for_or_an_error(text: str, start: int, size: int) -> None:
    response = Response(206, "", {"content-range": text}, DOOR)
    total = total_size(response)
    error = either(lambda: check_range(response, "/lst/run", start, start + size), TransientError)
    if error is not None:
        assert str(error).isprintable()
        return

    assert re.fullmatch(rf"bytes 0*{start}-0*{start + size - 1}/([0-9]+|\*)", text)
    assert total is None or total >= start + size


@holds(value=st.one_of(header_text, changed(DATES)), now=st.floats(0, 4e9))
def test_a_wish_to_wait_is_some_seconds_or_none(value: str, now: float) -> None:
    wait = _retry_after(value, now)

    assert wait is None or 0 <= wait < 1e12
    delay = RetryPolicy().delay(0, TransientError("no", status=429, retry_after=wait))
    assert delay is None or 0 <= delay < 400


@holds(text=st.one_of(odd_text, changed(DATES)))
def test_a_date_is_a_time_or_none(text: str) -> None:
    mtime = FileInfo(path="/lst/run", is_dir=False, modified=text).mtime

    assert mtime is None or abs(mtime) < 1e12


@holds(text=st.one_of(odd_text, st.text("0123456789-+_ ٣²½e.x", max_size=25)))
def test_a_size_is_what_ascii_digits_say_or_none(text: str) -> None:
    assert number(text) == (int(text) if re.fullmatch(r"[0-9]{1,19}", text) else None)


@holds(header=st.one_of(st.none(), header_text, changed(SERVERS)))
def test_every_server_is_some_server(header: str | None) -> None:
    assert isinstance(identify(header), Server)


@holds(location=locations, server=st.sampled_from(SERVERS), how=st.sampled_from(sorted(CONFIGS)), home=st.booleans())
def test_a_redirect_takes_the_credential_nowhere_else(location: str, server: str, how: str, home: bool) -> None:
    config = CONFIGS[how]
    credential = resolve(config)
    current = Hop(DOOR if home else "https://pool.example:2881/lst/run?u=1", with_credential=home)
    response = Response(307, "", fields([("Location", location), ("Server", server)]), current.shown)
    request = Request(method="GET", url=DOOR, path="/lst/run", act="download")
    hop = either(lambda: follow(current, response, config=config, credential=credential, request=request), StorageError)
    if isinstance(hop, StorageError):
        assert not isinstance(hop, TransientError)
        assert_told(hop)
        return
    scheme, host, port = hop.place
    trusted = host == "192.0.2.7" or host.endswith(".trusted.example")
    handed = "XrootD" in server and TOKEN in location
    # What the other parsers take for the host must be the host that was decided on.
    prepared = requests.Request("GET", hop.url).prepare().url or ""
    elsewhere = parse_url(hop.url)

    assert scheme == "https" or config.allow_http_pools
    assert HOST.fullmatch(host)
    assert (elsewhere.scheme, (elsewhere.host or "").strip("[]"), elsewhere.port or port) == (scheme, host, port)
    assert urlsplit(prepared).hostname == host
    assert elsewhere.auth is None
    if hop.with_credential:
        assert scheme == "https"
        assert hop.place == credential.home or (trusted and config.trusted_hosts) or handed
    if TOKEN in hop.url:
        assert hop.place == credential.home or (trusted and config.trusted_hosts)
    assert "?" not in hop.shown
    assert "@" not in urlsplit(hop.shown).netloc
    assert hop.url.isascii()


@holds(
    status=st.integers(300, 999),
    reason=secret_text,
    body=secret_text.map(lambda text: text.encode(errors="replace")),
    headers=st.dictionaries(st.sampled_from(["retry-after", "server"]), header_text),
    credential=st.sampled_from([TOKEN, "", None]),
)
def test_an_error_is_one_line_without_a_secret(
    status: int, reason: str, body: bytes, headers: dict[str, str], credential: str | None
) -> None:
    response = Response(status, reason, headers, SIGNED, body)
    hidden = (*Hop(SIGNED).secrets, "wonderland")
    error = error_for(response, act="download", path="/lst/run", secret=credential, hidden=hidden)

    assert isinstance(error, CtaError)
    assert str(status) in str(error)
    assert_told(error)


@holds(code=st.integers(0, 130), text=odd_text)
def test_a_failed_transport_is_one_line_without_a_secret(code: int, text: str) -> None:
    error = error_for_curl(code, text, act="download", path="/lst/run", url=SIGNED)

    assert isinstance(error, CredentialError | StorageError)
    assert_told(error)


@holds(
    lines=st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [b"HTTP/1.1 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/2 302", b"HTTP/1.1 \xb2\xb2\xb2 x", b"HTTP/", b""]
            ),
            changed(["Location: /x", "ETag: y", "location:/z"]).map(lambda text: text.encode("latin-1", "replace")),
        ),
        max_size=8,
    )
)
def test_a_header_is_a_response_however_it_is_written(lines: list[bytes]) -> None:
    wire = Wire(Trust(None), None, None, None, "", connect_timeout=1.0, timeout=1.0)
    exchange = Exchange(Request(method="GET", url=DOOR, path="/lst/run", act="download"), Hop(DOOR), wire, curl_loop())
    for line in lines:
        exchange.take_header(line.replace(b"\n", b"") + b"\r\n")
    response = exchange._head()
    exchange.handle.close()

    assert 0 <= response.status <= 999
    assert all(name == name.lower() for name in response.headers)


@holds(
    text=st.one_of(
        odd_text, st.text(min_size=30, max_size=90), st.binary(max_size=60).map(lambda data: data.decode("latin-1"))
    )
)
def test_a_token_is_usable_or_refused_without_being_shown(text: str) -> None:
    claims = base64.urlsafe_b64encode(text.encode(errors="replace")).rstrip(b"=").decode()
    for written in (text, f"e30.{claims}.c2ln"):
        token = either(lambda written=written: Token.parse(written, source="a test"), CredentialError)
        if isinstance(token, CredentialError):
            assert len(text) < 20 or text not in str(token)
            continue

        assert re.fullmatch(r"[!-~]+", token.value)
        assert token.value not in repr(token) or len(token.value) < 20
        assert token.expired(0.0) in (True, False)

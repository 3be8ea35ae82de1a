"""Nothing that is logged at DEBUG, raised, shown or pickled is a secret."""

import base64
import pickle
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient, CtaError
from ctadata_providers.cli import main
from ctadata_providers.credentials import Token, resolve
from ctadata_providers.session import Request, Response
from ctadata_providers.session.exchange import Wire
from ctadata_providers.session.redirects import Hop
from ctadata_providers.testing import FakeCta
from ctadata_providers.transport.trust import Trust
from tests.faults import acts
from tests.faults.cells import Told, assert_nothing_secret, chain
from tests.faults.scripted import RIGHT, Act, Door

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
SIGNATURE = "another-token-9876543210"
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
SIGNED = f"dcache-http-uuid={UUID}&dcache-http-ref=https%3A%2F%2Fdoor&authz=Bearer%20{SIGNATURE}"
SECRETS = (TOKEN, UUID, SIGNATURE, base64.b64encode(TOKEN.encode()).decode())
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


POOL_FAULTS: dict[str, Act] = {
    "well": lambda exchange: exchange.answer(200, body=exchange.door.files[PATH]),
    "reset": acts.reset_after(1000),
    "reset before the answer": acts.reset_after(None),
    "silent": acts.stall_after(1000),
    "400": acts.status(400, reason="Request is no longer valid"),
    "401": acts.status(401),
    "403": acts.status(403),
    "404": acts.status(404),
    "500": acts.status(500),
    "not HTTP": acts.raw(b"garbage\r\n\r\n"),
    "redirects on": acts.redirect(f"ftp://nowhere/?{SIGNED}"),
    "its URL in the reason": acts.status(500, reason=f"cannot serve https://pool:1/x?{SIGNED}"),
    "its URL in the page": acts.status(
        500, body=f"<h1>cannot serve https://pool:1/x?{SIGNED}</h1>".encode(), reason=""
    ),
}


@pytest.mark.parametrize("fault", POOL_FAULTS)
def test_a_signed_url_is_told_to_nobody(
    fault: str, open_door: Open, client_of: Client, target: Path, payload: bytes, told: Told
) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault("GET", acts.redirect(f"{pool.url}{PATH}?{SIGNED}"))
    pool.fault("GET", POOL_FAULTS[fault])
    client = client_of(door, token=TOKEN, retries=1, timeout=0.2 if fault == "silent" else 2.0)
    errors = []

    try:
        client.download(PATH, target)
    except CtaError as error:
        errors.append(error)

    assert len(errors) == (fault != "well")
    assert_nothing_secret(told.text(*errors), *SECRETS)


@pytest.mark.parametrize("fault", ["well", "gone", "reset", "500", "silent"])
def test_a_signed_url_for_a_message_is_told_to_nobody(
    fault: str, open_door: Open, client_of: Client, target: Path, payload: bytes, told: Told
) -> None:
    door, other = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault("PROPFIND", acts.redirect(f"{other.url}{PATH}?{SIGNED}"))
    faults = {"reset": acts.reset_after(None), "500": acts.status(500), "silent": acts.stall_after(None)}
    if fault in faults:
        other.fault("PROPFIND", faults[fault])
    if fault == "gone":
        other.close()
    client = client_of(door, token=TOKEN, retries=1, timeout=0.2 if fault == "silent" else 2.0)
    errors = []

    try:
        client.stat(PATH)
    except CtaError as error:
        errors.append(error)

    assert len(errors) == (fault != "well")
    assert_nothing_secret(told.text(*errors), *SECRETS)


@pytest.mark.parametrize("what", ["refused", "unknown", "mute"])
def test_a_pool_that_cannot_be_reached_is_named_without_its_secret(
    what: str, open_door: Open, client_of: Client, target: Path, payload: bytes, told: Told
) -> None:
    door = open_door(files={PATH: payload})
    with Door() as gone, socket.create_server(("127.0.0.1", 0)) as mute:
        urls = {
            "refused": gone.url,
            "unknown": "https://pool.invalid:2881",
            "mute": f"https://localhost:{mute.getsockname()[1]}",
        }
        if what == "refused":
            gone.close()
        door.fault("GET", acts.redirect(f"{urls[what]}{PATH}?{SIGNED}"))
        client = client_of(door, token=TOKEN, retries=1, connect_timeout=0.2)

        with pytest.raises(CtaError) as caught:
            client.download(PATH, target)

    assert urls[what] in str(caught.value)
    assert_nothing_secret(told.text(caught.value), *SECRETS)


@pytest.mark.parametrize(
    "echo",
    [
        f"Bearer {TOKEN}",
        f"bearer%20{TOKEN}",
        f"authz={TOKEN}",
        f"access_token={TOKEN}",
        f"no such token: '{TOKEN}'",
    ],
)
@pytest.mark.parametrize("code", [400, 401, 403, 500])
@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_server_that_repeats_the_token_is_not_repeated(
    method: str, code: int, echo: str, open_door: Open, client_of: Client, target: Path, payload: bytes, told: Told
) -> None:
    door = open_door(files={PATH: payload})
    door.fault(method, acts.status(code, f"X-Echo: {echo}", reason=f"Refused {echo}"))
    client = client_of(door, token=TOKEN, retries=0)

    with pytest.raises(CtaError) as caught:
        client.download(PATH, target)

    assert_nothing_secret(told.text(caught.value), *SECRETS)


HEADER = f"Location: https://pool:1/x?{SIGNED}\r\nWWW-Authenticate: Bearer {TOKEN}\r\n"
ECHOES: dict[str, Act] = {
    "in a header that cannot be parsed": acts.raw(f"HTTP/1.1 302 Found\r\n: odd\r\n{HEADER}\r\n".encode()),
    "in a header without colon": acts.raw(f"HTTP/1.1 500 No\r\nodd {TOKEN} {UUID}\r\n{HEADER}\r\n".encode()),
    "in a status line that is none": acts.raw(f"Bearer {TOKEN} {SIGNED} is bad\r\n\r\n".encode()),
    "in a chunk": acts.raw(f"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n".encode()),
    "in two lengths": acts.status(500, f"Content-Length: {TOKEN}"),
    "in the encoding": acts.status(500, f"Content-Encoding: {TOKEN}", body=TOKEN.encode()),
    "in the charset": acts.status(500, f"Content-Type: text/html; charset={TOKEN}", body=b"x"),
    "bare, in the reason": acts.status(500, reason=f"the request {UUID} of {TOKEN} ended"),
    "cut short": acts.status(500, reason=f"no such token {TOKEN[:16]}..."),
    "split by markup": acts.status(500, body=f"<b>{TOKEN}</b>{UUID}".encode(), reason=""),
    "encoded": acts.status(500, reason=f"no {TOKEN.replace('-', '%2D')} nor {TOKEN.replace('-', '%2d')}"),
}


@pytest.mark.parametrize("where", ECHOES)
@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_what_a_server_repeats_is_not_repeated(
    method: str, where: str, open_door: Open, client_of: Client, target: Path, payload: bytes, told: Told
) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault(method, acts.redirect(f"{pool.at('127.0.0.1')}{PATH}?{SIGNED}"))
    pool.fault(method, ECHOES[where])
    client = client_of(door, token=TOKEN, retries=0, trusted_hosts=("127.0.0.1",))

    with pytest.raises(CtaError) as caught:
        client.download(PATH, target)

    assert_nothing_secret(told.text(caught.value), *SECRETS, TOKEN[:16], TOKEN.replace("-", "%2D"))


def with_our_variables(error: BaseException) -> str:
    """Return the variables that a trace of the better kind shows, those of our own functions."""
    traces = [traceback.TracebackException.from_exception(link, capture_locals=True) for link in chain(error)]
    frames = [frame for trace in traces for frame in trace.stack if "/ctadata_providers/" in frame.filename]
    return "\n".join(f"{name} = {value}" for frame in frames for name, value in (frame.locals or {}).items())


@pytest.mark.parametrize("fault", ["500", "reset", "silent", "not HTTP", "redirects on"])
@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_trace_that_shows_our_variables_shows_no_secret(
    method: str,
    fault: str,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://alice:wonderland-0123@127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "localhost")
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault(method, acts.redirect(f"{pool.url}{PATH}?{SIGNED}"))
    pool.fault(method, POOL_FAULTS[fault] if fault != "silent" else acts.stall_after(None))
    client = client_of(door, token=TOKEN, retries=0, timeout=0.2 if fault == "silent" else 2.0)

    with pytest.raises(CtaError) as caught:
        client.download(PATH, target)
    shown = with_our_variables(caught.value)

    assert "request = Request(" in shown
    assert_nothing_secret(shown, TOKEN, UUID, "wonderland")


@pytest.mark.parametrize("fault", ["well", "500", "reset", "redirects on", "its URL in the reason"])
@pytest.mark.parametrize("options", [["--debug"], ["--debug", "-vv"], ["--debug", "--json"]], ids=" ".join)
def test_the_command_line_prints_no_secret(
    options: list[str],
    fault: str,
    open_door: Open,
    ca: Path,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    told: Told,
) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    for method in ("GET", "PROPFIND"):
        door.fault(method, acts.redirect(f"{pool.url}{PATH}?{SIGNED}"))
        pool.fault(method, POOL_FAULTS[fault] if fault != "well" else RIGHT[method])
    netrc = target.parent / "netrc"
    netrc.write_text("default login bob password wonderland-netrc\n")
    netrc.chmod(0o600)
    environment = {
        "CTA_DOOR_URL": door.url,
        "CTA_CA_PATH": str(ca),
        "CTA_RETRIES": "1",
        "BEARER_TOKEN": TOKEN,
        "NETRC": str(netrc),
        "HTTPS_PROXY": "http://alice:wonderland-0123@127.0.0.1:1",
        "NO_PROXY": "localhost",
        "REQUESTS_CA_BUNDLE": "/wonderland/bundle",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    codes = [main([command, PATH, *where, *options]) for command, where in (("stat", []), ("get", [str(target)]))]
    printed = capfd.readouterr()

    assert codes == [0, 0] if fault == "well" else [1, 1]
    assert_nothing_secret(printed.out + printed.err + told.text(), *SECRETS, "wonderland")


@pytest.mark.parametrize("method", ["stat", "get"])
def test_the_command_line_prints_no_password_of_a_proxy_that_is_gone(
    method: str,
    open_door: Open,
    ca: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    told: Told,
) -> None:
    door = open_door(files={PATH: b"x"})
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://alice:wonderland-0123@127.0.0.1:1")
    for name, value in {"CTA_DOOR_URL": door.url, "CTA_CA_PATH": str(ca), "CTA_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)

    code = main(["--debug", "-vv", method, PATH, *([str(target)] if method == "get" else [])])
    printed = capfd.readouterr()

    assert code == 1
    assert_nothing_secret(printed.out + printed.err + told.text(), "wonderland", "alice")


@pytest.mark.parametrize("act", ["download", "upload", "list", "remove", "move", "make_dir"])
def test_no_act_tells_the_token(act: str, fake_cta: FakeCta, target: Path, told: Told, payload: bytes) -> None:
    fake_cta.put(PATH, payload)
    errors: list[CtaError] = []

    def tried(client: CtaClient) -> None:
        acts_by_name: dict[str, Callable[[], object]] = {
            "download": lambda: client.download(PATH, target),
            "upload": lambda: client.upload(target, "/night/new"),
            "list": lambda: list(client.list_dir("/night")),
            "remove": lambda: client.remove(PATH),
            "move": lambda: client.move(PATH, "/night/other"),
            "make_dir": lambda: client.make_dir("/night/folder"),
        }
        try:
            acts_by_name[act]()
        except CtaError as error:
            errors.append(error)

    weak = fake_cta.make_token(scope="storage.read:/elsewhere")
    foreign = weak[:-8] + "AAAAAAAA"
    for token in (fake_cta.token, weak, foreign):
        with CtaClient(Config.from_mapping({**fake_cta.settings(), "token": token, "retries": 0})) as client:
            tried(client)

    assert len(errors) == 2
    signatures = [token.rpartition(".")[2] for token in (fake_cta.token, weak, foreign)]
    assert_nothing_secret(told.text(*errors), fake_cta.token, weak, foreign, *signatures)
    assert "uuid=" not in told.text(*errors)


def test_no_representation_holds_a_secret() -> None:
    config = Config(door_url="https://door:2880", token=TOKEN)
    url = f"https://pool:1/x?{SIGNED}"
    things = [
        config,
        CtaClient(config),
        resolve(config),
        Token.parse(TOKEN, source="a test"),
        Hop(url, with_credential=False),
        Request(method="GET", url=url, path=PATH, act="download"),
        Response(302, "Found", {"location": url}, "https://door:2880/x"),
        Wire(
            trust=Trust(Path("b")),
            cert_file=None,
            key_file=None,
            authorization=f"Bearer {TOKEN}",
            proxy="http://alice:secret-0123456789@proxy:3128",
            connect_timeout=1,
            timeout=1,
        ),
    ]

    for thing in things:
        assert_nothing_secret(f"{thing!r} {thing!s}", TOKEN, UUID, "secret-0123456789")


def test_no_pickle_holds_a_secret() -> None:
    config = Config(door_url="https://door:2880", token=TOKEN)

    assert TOKEN.encode() not in pickle.dumps(config)
    assert TOKEN.encode() not in pickle.dumps(CtaClient(config))
    with pytest.raises(TypeError):
        pickle.dumps(Token.parse(TOKEN, source="a test"))


@pytest.mark.parametrize("text", [f"{TOKEN} trailing", f"{TOKEN}\nsecond line", f"x{TOKEN}\xe9"])
def test_a_malformed_token_is_refused_without_being_shown(text: str, tmp_path: Path, told: Told) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(text)

    with CtaClient(door_url="https://localhost:1", token_file=token_file) as client, pytest.raises(CtaError) as caught:
        client.stat(PATH)
    with pytest.raises(CtaError) as refused:
        Config(token=text)

    assert str(token_file) in str(caught.value)
    assert_nothing_secret(told.text(caught.value, refused.value), *SECRETS)


def test_notes_about_uploads_hold_no_secret(fake_cta: FakeCta, target: Path, clean_environment: Path) -> None:
    notes: list[str] = []

    def read_notes(_: int) -> None:
        notes.extend(note.read_text() for note in clean_environment.rglob("*.json"))

    with CtaClient(Config.from_mapping(fake_cta.settings())) as client:
        client.upload(target, PATH, progress=read_notes)

    assert notes
    assert_nothing_secret("".join(notes), fake_cta.token)
    assert not list(clean_environment.rglob("*.json"))

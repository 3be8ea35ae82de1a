"""Nothing that is logged at DEBUG, raised, shown or pickled is a secret."""

import base64
import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient, CtaError
from ctadata_providers.credentials import Token, resolve
from ctadata_providers.session import Request, Response
from ctadata_providers.session.exchange import Wire
from ctadata_providers.session.redirects import Hop
from ctadata_providers.session.tls import Trust
from ctadata_providers.testing import FakeCta
from tests.faults import acts
from tests.faults.cells import Told
from tests.faults.scripted import Act, Door

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
SIGNED = f"dcache-http-uuid={UUID}&dcache-http-ref=https%3A%2F%2Fdoor&authz=Bearer%20{TOKEN}"
SECRETS = (TOKEN, UUID, base64.b64encode(TOKEN.encode()).decode())
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


def assert_nothing_secret(text: str, *secrets: str) -> None:
    for secret in secrets or SECRETS:
        at = text.find(secret)

        assert at < 0, f"{secret!r} stands in: ...{text[max(0, at - 200) : at + 40]}..."


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
    assert_nothing_secret(told.text(*errors))


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
    assert_nothing_secret(told.text(*errors))


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
    assert_nothing_secret(told.text(caught.value))


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

    assert_nothing_secret(told.text(caught.value))


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
    assert_nothing_secret(told.text(caught.value, refused.value))


def test_notes_about_uploads_hold_no_secret(fake_cta: FakeCta, target: Path, clean_environment: Path) -> None:
    notes: list[str] = []

    def read_notes(_: int) -> None:
        notes.extend(note.read_text() for note in clean_environment.rglob("*.json"))

    with CtaClient(Config.from_mapping(fake_cta.settings())) as client:
        client.upload(target, PATH, progress=read_notes)

    assert notes
    assert_nothing_secret("".join(notes), fake_cta.token)
    assert not list(clean_environment.rglob("*.json"))

"""What a Location means."""

from urllib.parse import quote

import pytest

from ctadata_providers import Config
from ctadata_providers.credentials import resolve
from ctadata_providers.errors import StorageError
from ctadata_providers.session import Request, Response
from ctadata_providers.session.headers import fields
from ctadata_providers.session.redirects import Hop, follow

TOKEN = "an-opaque-token-0123456789"
DOOR = "https://door.example:2880"
DATA = "https://data.example:1095"


def followed(location: str, path: str = "/lst/run", *, server: str = "XrootD/v5.8.1", at: str | None = None) -> Hop:
    config = Config(door_url=DOOR, token=TOKEN)
    url = DOOR + quote(path)
    raw = location.encode().decode("latin-1").strip(" ")  # as a header brings it
    response = Response(307, "", {"location": raw, "server": server}, DOOR)
    request = Request(method="PUT", url=url, path=path, act="upload")
    return follow(Hop(at or url, at is None), response, config=config, credential=resolve(config), request=request)


@pytest.mark.parametrize(
    "name", ["run", "a b", "h#h", "p%41q", "a%20b", "a&b;c=d", "ü", "日本", "%", "%25", "t ", "t  ", "+"]
)
@pytest.mark.parametrize("token", [f"?authz=Bearer%20{TOKEN}", f"?authz={TOKEN}", ""])
@pytest.mark.parametrize("version", ["5.5.3", "5.8.1", "encoded", "encoded, lower case"])
@pytest.mark.parametrize("slash", ["/", "//"])  # the second to a COPY (5.5.3)
def test_our_path_is_recognised_however_xrootd_writes_it(slash: str, version: str, token: str, name: str) -> None:
    written = {
        "5.5.3": name,
        "5.8.1": name.replace(" ", "%20").replace("#", "%23").replace("&", "%26"),
        "encoded": quote(name),
        "encoded, lower case": quote(name).lower() if name.islower() else quote(name),
    }[version]

    hop = followed(f"{DATA}{slash}lst/{written}{token}", f"/lst/{name}")

    assert hop.url == f"{DATA}/lst/{quote(name)}"
    assert hop.with_credential == bool(token)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (f"{DATA}/lst/runs", f"{DATA}/lst/runs"),
        (f"{DATA}/lst/RUN", f"{DATA}/lst/RUN"),
        (f"{DATA}/lst/run?uuid=1&x=2", f"{DATA}/lst/run?uuid=1&x=2"),
        (f"{DATA}/lst/run?x=1&authz={TOKEN}&y=2", f"{DATA}/lst/run?x=1&y=2"),
    ],
)
def test_another_path_of_an_xrootd_is_another_path(location: str, url: str) -> None:
    assert followed(location).url == url


@pytest.mark.parametrize("server", ["XrootD/v5.8.1", "nginx"])
@pytest.mark.parametrize(
    "location",
    [
        f"{DATA}/other?authz=Bearer%20{TOKEN}",
        f"{DATA}/other?x=%{TOKEN}",
        f"0https://door?x=%0{TOKEN}",  # found by the fuzz: `%0a` swallowed the token's first letter
        f"{DATA}/{TOKEN.replace('-', '%2D')}",
    ],
)
def test_our_token_is_not_sent_in_a_url_to_another_server(location: str, server: str) -> None:
    with pytest.raises(StorageError, match="would have the token sent") as caught:
        followed(location, server=server, at=f"{DATA}/x")

    assert TOKEN not in str(caught.value)


def test_several_locations_are_none() -> None:
    assert fields([("Location", "/a"), ("location", "/b")])["location"] == ""
    assert fields([("Location", "/a"), ("location", "/a")])["location"] == "/a"
    assert fields([("Digest", "md5=x"), ("DIGEST", "adler32=y")])["digest"] == "md5=x, adler32=y"

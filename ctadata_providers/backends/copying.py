"""What a WebDAV door copies by itself: inside its own server (RFC 4918), and from or to another door.

HTTP third-party copy: `COPY` to the door that is to act, with the address of the file on the other side as `Source`
(pull) or `Destination` (push), and the credential for the other side in `TransferHeaderAuthorization`. The door answers
with performance markers; the last line says how it ended. Closing the connection cancels the copy.
"""

import re
from collections.abc import Callable, Sequence

from ctadata_providers.backends.base import OtherSide
from ctadata_providers.backends.door import Door
from ctadata_providers.backends.perfmarkers import Markers
from ctadata_providers.credentials.resolve import matches, origin
from ctadata_providers.errors import (
    AlreadyExistsError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.session import Request, Response
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import guest_secrets
from ctadata_providers.session.status import scrubbed
from ctadata_providers.session.tasks import spawn

_NO_COPY = frozenset({400, 405, 415, 501, 502})
"""How a door refuses a COPY that it does not do; some have 400 for all that they do not like of it."""
_CODE = re.compile(r"(?i)(?:status|code|http|error|rejected|response|returned)\D{0,40}\b([45][0-9]{2})\b")
_ADDRESS = re.compile(r"(?i)(?<!\S)(?!http/[0-9])\S*/\S*")
"""A path or URL: what stands in it is not what the door says."""
_UNREACHABLE = re.compile(r"(?i)connect|resolv|unknown host|unreachable|refused|certificate|\bssl\b|\btls\b|handshake")


class CopyingDoor(Door):
    """The copying half of a WebDAV backend."""

    def copy(self, source: str, target: str, *, overwrite: bool) -> Future[None]:
        """Copy a file inside the server, by COPY with a full URL as Destination."""
        if not self.server.copies_inside:
            raise UnsupportedError(f"{self.server.name or 'this server'} has no COPY of its own", path=target)
        if not self.server.can_rename_to(target):
            raise UnsupportedError(f"this server does not copy rightly to {target}", path=target)
        headers = {"Destination": self._destination(target), "Overwrite": "T" if overwrite else "F", "Depth": "0"}
        return spawn(self._copy(self._request("COPY", source, "copy", headers=headers)))

    def may_copy_with(self, url: str) -> bool:
        """Tell whether a copy between this door and the one of a URL is allowed: https, and `copy_hosts` or itself."""
        ours = origin(self._config.door_url)
        allowed = ours[0] == "https" and (origin(url) == ours or self._may_be_told(url))
        if allowed:
            self._meet()
        return allowed

    def as_other_side(self, path: str) -> OtherSide:
        """Return what another door needs to reach a file here; may wait for a token.

        Raises:
            UnsupportedError: When only a client certificate opens this door: it cannot be handed on.
            CredentialError: When there is no usable token.
        """
        credential = self._session.credential
        if not credential.has_token and credential.certificate is not None:
            raise UnsupportedError(f"the certificate for {self._config.door_url} cannot be handed on", path=path)
        token = credential.ready() or credential.token()
        ours = origin(self._config.door_url)
        return OtherSide(
            url=self._url(path),
            authorization=None if token is None else f"Bearer {token.value}",
            may_see=lambda url: origin(url) == ours or self._may_be_told(url),
        )

    def pull(self, path: str, other: OtherSide, *, overwrite: bool, marked: Callable[[int], object]) -> Future[None]:
        """Have this door fetch a file of another one."""
        self._require_third_party(path)
        return spawn(self._third_party(path, other, {"Source": other.url}, overwrite, marked))

    def push(self, path: str, other: OtherSide, *, overwrite: bool, marked: Callable[[int], object]) -> Future[None]:
        """Have this door send a file to another one."""
        self._require_third_party(path)
        return spawn(self._third_party(path, other, {"Destination": other.url}, overwrite, marked))

    def _require_third_party(self, path: str) -> None:
        """Make sure that the server is known for third-party copies.

        Others would take the request for one of RFC 4918: Apache does not look at the host in Destination, writes the
        file to that path of its own, and is content; without a Destination it looks for the file that is to be made.
        """
        if self.server.copies_inside:
            raise UnsupportedError("this server is not known to copy from and to other ones", path=path)

    def _may_be_told(self, url: str) -> bool:
        """Tell whether a door may be given the token for this one."""
        scheme, host, _ = origin(url)
        return scheme == "https" and any(matches(host, pattern) for pattern in self._config.copy_hosts)

    async def _copy(self, request: Request) -> None:
        try:
            await self._exchange(request)
        except StorageError as error:
            raise _explained(error) from error

    async def _third_party(
        self, path: str, other: OtherSide, where: dict[str, str], overwrite: bool, marked: Callable[[int], object]
    ) -> None:
        headers = {
            **where,
            "Overwrite": "T" if overwrite else "F",
            # dCache would else want a credential of its own making (OIDC delegation, a delegated proxy), and a checksum
            # that not every server tells; what arrived is verified by us.
            "Credential": "none",
            "RequireChecksumVerification": "true" if self._config.checksum == "require" else "false",
        }
        markers = Markers()

        def take(data: bytes) -> None:
            markers.feed(data)
            marked(markers.transferred)

        request = self._request(
            "COPY",
            path,
            "copy",
            headers=headers,
            guest={"TransferHeaderAuthorization": other.authorization} if other.authorization else {},
            guest_may_see=other.may_see,
            accept=lambda response: take,
        )
        if not other.may_see(request.url):
            raise UnsupportedError(f"{self._config.door_url} may not see the token of the other side", path=path)
        try:
            await self._exchange(request)
        except StorageError as error:
            raise _explained(error) from error
        own = self._session.credential.ready()
        _check(markers, request, (*guest_secrets(request), *([own.value] if own else [])))

    async def _exchange(self, request: Request) -> Response:
        return await self._session.exchange(request)


def _check(markers: Markers, request: Request, secrets: Sequence[str]) -> None:
    """Make sure that the last line says that the file was copied; it may repeat a secret."""
    verdict = markers.verdict()
    if verdict is None:
        raise TransientError(
            f"the door ended the copy of {request.path} without saying how it went", path=request.path, remedy=_LATER
        )
    good, said = verdict
    if not good:
        raise _failure(f"the door could not copy {request.path}: {scrubbed(said, secrets)}", said, request.path)


_LATER = "try again later; if it stays, tell the servers' operators"


def _explained(error: StorageError) -> StorageError:
    """Return what the refusal of a COPY means: XRootD has 500 for much, and puts the reason into words."""
    if error.status in _NO_COPY:
        return UnsupportedError(error.message, path=error.path, status=error.status)
    if isinstance(error, PermissionDeniedError | TransientError) and error.status in (403, 500):
        return _failure(error.message, error.message.partition("answered")[2][5:], error.path, status=error.status)
    return error


def _failure(message: str, said: str, path: str | None, *, status: int | None = None) -> StorageError:
    """Return the error that the words of a door mean."""
    words = _ADDRESS.sub(" ", said)
    lower = words.lower()
    found = _CODE.search(words)
    code = int(found[1]) if found else status
    if "local/private" in said.lower() or (code not in _KINDS and _UNREACHABLE.search(words)):
        return UnsupportedError(message, path=path, status=status)
    if "file exists" in lower:
        code = 412
    elif any(word in lower for word in ("no space", "quota")):
        code = 507
    kind, remedy = _KINDS.get(code or 0, (TransientError, _LATER))
    return kind(message, path=path, status=status, remedy=remedy)


_KINDS: dict[int, tuple[type[StorageError], str]] = {
    401: (PermissionDeniedError, "one of the two credentials does not allow this: check scopes, life and paths"),
    403: (PermissionDeniedError, "one of the two credentials does not allow this: check scopes, life and paths"),
    404: (NotFoundError, "check the path: the file may have been removed meanwhile"),
    410: (NotFoundError, "check the path: the file may have been removed meanwhile"),
    412: (AlreadyExistsError, "remove it first, or allow overwriting"),
    413: (QuotaError, "the file is larger than the server takes"),
    507: (QuotaError, "the server has no space or quota left: free some, or write elsewhere"),
}

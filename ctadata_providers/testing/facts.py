"""What door and pools tell of a file: its size, checksums, place and attributes, true or not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ctadata_providers.testing.digests import digest_header, repr_digest_header
from ctadata_providers.testing.entries import Entry, Locality
from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.fault_kinds import FaultName
from ctadata_providers.testing.faults import Fault, Faults
from ctadata_providers.testing.requestlog import ServerName
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.tokens import Activity, Login

_ON_DISK: tuple[Locality, ...] = ("ONLINE", "ONLINE_AND_NEARLINE")


@dataclass(frozen=True, slots=True)
class Facts:
    """What one request is told. Faults are looked up by the path of the file, not of the folder that is listed.

    Attributes:
        exchange: The request.
        storage: What is so.
        faults: What is switched on.
        version: The major version of dCache.
        asked: Which server tells, and the method it was asked; None for those of the request.
    """

    exchange: Exchange
    storage: Storage
    faults: Faults
    version: int
    asked: tuple[ServerName, str] | None = None

    def entry(self, entry: Entry) -> Entry:
        """Return a file with the size that is told."""
        if entry.size is not None and self.faults and (fault := self._strikes("wrong-size", entry)):
            return replace(entry, size=max(0, entry.size + fault.options.by))
        return entry

    def quick_checksums(self, entry: Entry) -> Mapping[str, str]:
        """Return the checksums that a listing tells: not those for which a large file would have to be read."""
        return self._told(entry, self.storage.quick_checksums(entry))

    def checksums(self, entry: Entry) -> Mapping[str, str]:
        """Return the checksums that are told of one file."""
        return self._told(entry, self.storage.checksums(entry))

    def digest(self, entry: Entry) -> dict[str, str]:
        """Return the header that answers Want-Digest or Want-Repr-Digest (12.x), if there is one; the latter wins."""
        headers = self.exchange.headers
        wanted, wanted_repr = headers.get("Want-Digest"), headers.get("Want-Repr-Digest")
        if self.version >= 12 and wanted_repr:
            return repr_digest_header(wanted_repr, self.checksums(entry))
        return digest_header(wanted, self.checksums(entry)) if wanted else {}

    @property
    def wants_digest(self) -> bool:
        """Whether a checksum is asked for in a header."""
        return bool({"Want-Digest", "Want-Repr-Digest"} & set(self.exchange.headers))

    def locality(self, entry: Entry) -> Locality:
        """Return where a file is: an upload under way is nowhere yet."""
        if entry.size is None:
            return "NONE"
        if self.faults and self._meeting("nearline", entry):
            return "NEARLINE"
        return self.storage.notes(entry).locality or "ONLINE"

    def xattrs(self, entry: Entry) -> Mapping[str, str]:
        """Return the extended attributes."""
        return self.storage.notes(entry).xattrs

    def quota(self) -> tuple[int, int] | None:
        """Return the bytes that are free and used, None where space is not managed."""
        free = self.storage.free()
        return None if free is None or self.storage.quota is None else (free, self.storage.quota - free)

    async def bring_online(self, entry: Entry, login: Login, patience: float) -> None:
        """Wait until a file can be read from a disk: it blocks a GET, as dCache does.

        Raises:
            Refusal: 403 (401 for anonymous) when it would have to be staged and that is not allowed, 500 when it
                does not come.
        """
        locality = self.locality(entry)
        if locality in _ON_DISK:
            return
        if locality in ("LOST", "NONE"):
            raise Refusal(500, "File has no copy on any pool")
        if locality == "NEARLINE" and not login.may(Activity.STAGE, entry.path):
            raise Refusal(401 if login.subject is None else 403, "Permission denied: staging is not allowed")
        fault = self._strikes("nearline", entry)
        seconds = patience if fault is None or fault.options.seconds < 0 else fault.options.seconds
        recall = None if fault or locality != "NEARLINE" else self.storage.notes(entry).recall
        if recall is None or recall > patience:
            await self.exchange.pause(seconds)
            raise Refusal(500, "Request to [>PoolManager] timed out")
        await self.exchange.pause(recall)
        self.storage.notes_to_change(entry).locality = "ONLINE_AND_NEARLINE"

    def _told(self, entry: Entry, checksums: Mapping[str, str]) -> Mapping[str, str]:
        if not self.faults or not checksums:
            return checksums
        if self._strikes("no-digest", entry):
            return {}
        if self._strikes("wrong-digest", entry):
            return {name: value[:-1] + ("1" if value[-1] == "0" else "0") for name, value in checksums.items()}
        return checksums

    def _meeting(self, name: FaultName, entry: Entry) -> Fault | None:
        server, method = self.asked or (self.exchange.server, self.exchange.method)
        found = self.faults.meeting(server, method, entry.path)
        return next((fault for fault in found if fault.name == name), None)

    def _strikes(self, name: FaultName, entry: Entry) -> Fault | None:
        fault = self._meeting(name, entry)
        return fault if fault and fault.strike() else None

"""The local end of a download: a hidden part beside the target, whole at the end or gone."""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from ctadata_providers.checksum import Hasher, new_hasher
from ctadata_providers.errors import (
    AlreadyExistsError,
    IntegrityError,
    IsADirError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
)
from ctadata_providers.transfer import links
from ctadata_providers.transfer.context import Progress
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.parts import owners
from ctadata_providers.transfer.parts.hashing import digest_of

StrPath = str | Path
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What file systems without hard links answer, FUSE with ENOSYS."""
_ACL = "system.posix_acl_access"
_HAS_LISTS = hasattr(os, "getxattr")
"""Elsewhere than on Linux the standard library does not know them."""
_CREATE = os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Target:
    """The file that a part becomes.

    Args:
        place: The file; a symbolic link is followed, so that the link stays.
        overwrite: Whether a file there may be replaced; a link that leads nowhere counts as one.

    Raises:
        IsADirError: When it is a folder.
        AlreadyExistsError: When it exists and may not be overwritten.
        PermissionDeniedError: When only others can replace it, or another user has put a link on the way to it where
            everybody may write.
    """

    def __init__(self, place: Path, *, overwrite: bool) -> None:
        self.place = place
        self._overwrite = overwrite
        self._text = os.fspath(place)
        self._old: os.stat_result | None = None
        folder = self._text.rpartition("/")[0]
        try:
            if folder:
                links.check_folder(folder)
        except OSError as error:
            raise explained(error, place, "write") from error
        try:
            self._old = self._check(os.lstat(self._text))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise explained(error, place, "write") from error
        self.part_mode = 0o666 if self._old is None else 0o600
        """The permissions of a new part: who may not read the file that it replaces reads nothing of this one."""
        folder, slash, self.name = self._text.rpartition("/")
        self._folder = folder + slash
        self.folder = folder or slash or "."
        """The folder that it is in."""

    def place_of(self, name: str) -> str:
        """Return where a name beside it is."""
        return self._folder + name

    def publish(self, part: StrPath, fd: int) -> None:
        """Make a part the target, in one step, and close it.

        Raises:
            AlreadyExistsError: When the target has come to be meanwhile and may not be overwritten.
        """
        try:
            if self._old is not None:
                _permit_as(self._old, _acl_of(self._text), fd)
        finally:
            os.close(fd)  # a full quota may show only here
        if self._overwrite:
            os.replace(part, self._text)  # noqa: PTH105 (per file, in the loop's thread)
        else:
            _rename_to_new(part, self.place)

    def check_space(self, size: int) -> None:
        """Make sure that there is room.

        Raises:
            QuotaError: When there is not.
        """
        free = shutil.disk_usage(self.place.parent).free
        if size > free:
            raise QuotaError(
                f"cannot write {self.place}: {size} bytes are to come, {free} are free",
                path=self.place,
                remedy="free some space, or choose another folder",
            )

    def _check(self, found: os.stat_result) -> os.stat_result:
        """Return what is known of the file to be replaced."""
        if stat.S_ISLNK(found.st_mode):
            if not self._overwrite:
                raise self._exists()
            self._text = links.followed(self._text)
            self.place = Path(self._text)
            found = os.lstat(self._text)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirError(
                f"cannot write {self.place}: it is a folder", path=self.place, remedy="give the name of a file in it"
            )
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(
                f"cannot write {self.place}: it is no regular file", path=self.place, remedy="name a file"
            )
        if not self._overwrite:
            raise self._exists()
        if _is_kept_from_us(found, self.place.parent):
            raise PermissionDeniedError(
                f"cannot write {self.place}: it belongs to another user, and its folder has the sticky bit",
                path=self.place,
                remedy="choose another name or folder",
            )
        return found

    def _exists(self) -> AlreadyExistsError:
        return AlreadyExistsError(
            f"cannot write {self.place}: it exists", path=self.place, remedy="remove it first, or allow overwriting"
        )


def _is_kept_from_us(old: os.stat_result, folder: Path) -> bool:
    """Tell whether only others can replace a file: better told now than when all bytes are there."""
    user = os.geteuid()
    if user in (0, old.st_uid):
        return False
    found = folder.stat()
    return bool(found.st_mode & stat.S_ISVTX) and user != found.st_uid


def _permit_as(old: os.stat_result, acl: bytes | None, fd: int) -> None:
    """Permit of a new file what the old one permits to the same group, or to no group more than to all others.

    A setuid bit is not kept: whoever has set it on a file of theirs would run as us what we have fetched. Where a file
    system refuses it (CIFS, FAT), the file stays as it was made.
    """
    mode = old.st_mode & 0o777
    if acl is not None:
        mode &= ~0o070  # there it is the most that the list gives to anybody
    if os.fstat(fd).st_gid != old.st_gid:
        try:
            os.fchown(fd, -1, old.st_gid)
        except OSError:  # we are not of that group, so that a list would give its rights to another
            acl = None
            mode &= ~0o070 | (mode & 0o007) << 3
            mode &= ~0o007 | (old.st_mode & 0o070) >> 3
    if acl is None and _HAS_LISTS:
        with suppress(OSError):
            os.removexattr(fd, _ACL)  # that which the folder gives to new files
    with suppress(OSError):
        os.fchmod(fd, mode)
    if acl is not None:
        with suppress(OSError):
            os.setxattr(fd, _ACL, acl)


def _acl_of(place: str) -> bytes | None:
    """Return the access control list of a file, None where there is none."""
    if _HAS_LISTS:
        with suppress(OSError):
            return os.getxattr(place, _ACL)
    return None


def created(target: Target, place: StrPath, mode: int) -> int:
    """Return the descriptor of a new part; missing folders are made.

    Args:
        target: What it is for.
        place: Where it is.
        mode: `os.O_WRONLY` or `os.O_RDWR`.
    """
    try:
        try:
            return os.open(place, _CREATE | mode, target.part_mode)
        except FileNotFoundError:
            target.place.parent.mkdir(parents=True, exist_ok=True)
            links.check_folder(target.folder)  # meanwhile a link may have come
            return os.open(place, _CREATE | mode, target.part_mode)
    except OSError as error:
        raise explained(error, target.place, "write") from error


class SmallPart:
    """The part of a file that is fetched again from its start when something goes wrong: nothing is kept of it.

    Tens of thousands a second pass here, so there is nothing but the part: no lock, no sidecar.

    Args:
        target: The file that it becomes.
        stem: What its name begins with.
        size: Bytes to come, None when unknown.
        algorithm: Checksum to compute on the bytes that pass, None for none.
        progress: Told of the bytes that pass.
    """

    def __init__(
        self, target: Target, stem: str, *, size: int | None, algorithm: str | None, progress: Progress | None
    ) -> None:
        self._target = target
        self._size = size
        self.received = 0
        self._algorithm = algorithm
        self._hasher: Hasher | None = new_hasher(algorithm) if algorithm else None
        self._progress = progress
        self._name = owners.new_name(stem)
        self._name.claim()
        self._path = target.place_of(self._name.part)
        self._published = False
        self._fd = -1
        try:
            self._fd = created(target, self._path, os.O_RDWR)
        finally:
            if self._fd < 0:
                self._name.give_up()

    def take(self, data: bytes) -> None:
        """Write the next bytes.

        Raises:
            QuotaError: When the disk is full.
            IntegrityError: When there are more than were announced.
            StorageError: For another fault of the file system.
        """
        if self._size is not None and self.received + len(data) > self._size:
            raise too_many(self._target.place, self._size)
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, memoryview(data)[written:])
        except OSError as error:
            raise explained(error, self._target.place, "write") from error
        self.received += len(data)
        if self._hasher is not None:
            self._hasher.update(data)
        if self._progress is not None:
            self._progress(len(data))

    def restart(self) -> None:
        """Forget what has arrived."""
        if self._progress is not None and self.received:
            self._progress(-self.received)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.ftruncate(self._fd, 0)
        self.received = 0
        self._hasher = new_hasher(self._algorithm) if self._algorithm else None

    @property
    def checksums(self) -> dict[str, str]:
        """The checksum of what has arrived."""
        return {self._algorithm: self._hasher.hexdigest()} if self._algorithm and self._hasher else {}

    async def reread(self, algorithm: str) -> str:
        """Return another checksum of what has arrived."""
        return await digest_of(self._fd, self.received, algorithm, self._target.place)

    def publish(self) -> None:
        """Make the part the target, in one step.

        Raises:
            AlreadyExistsError: When the target has come to be meanwhile and may not be overwritten.
        """
        descriptor, self._fd = self._fd, -1
        try:
            self._target.publish(self._path, descriptor)
        except OSError as error:
            raise explained(error, self._target.place, "write") from error
        self._published = True
        self._name.give_up()

    def discard(self) -> None:
        """Remove what is left of the part, if anything."""
        descriptor, self._fd = self._fd, -1
        if descriptor >= 0:
            with suppress(OSError):  # it is thrown away
                os.close(descriptor)
        if self._published:
            return
        with suppress(OSError):  # what has failed is told, not that nothing can be removed either
            os.unlink(self._path)  # noqa: PTH108 (per file, in the loop's thread)
        self._name.give_up()


def write_whole(target: Target, stem: str, content: bytes) -> None:
    """Make a file of bytes that are all there, in one step for whoever looks; missing folders are made.

    Tens of thousands a second pass here: nothing is made that is not needed.

    Raises:
        QuotaError: When the disk is full.
        StorageError: For another fault of the file system.
    """
    name = owners.new_name(stem)
    path = target.place_of(name.part)
    name.claim()
    fd = -1
    try:
        fd = created(target, path, os.O_WRONLY)
        written = os.write(fd, content)
        while written < len(content):
            written += os.write(fd, memoryview(content)[written:])
        descriptor, fd = fd, -1
        target.publish(path, descriptor)
    except BaseException as error:
        if fd >= 0:
            with suppress(OSError):  # it is thrown away
                os.close(fd)
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 (as above)
        if isinstance(error, OSError):
            raise explained(error, target.place, "write") from error
        raise
    finally:
        name.give_up()


def too_many(place: Path, size: int) -> IntegrityError:
    """Return the error for more bytes than the listing told of."""
    return IntegrityError(
        f"more bytes arrive for {place} than the {size} that the listing says",
        path=place,
        remedy="nothing was kept; the file may be changing right now: try again",
    )


def _rename_to_new(part: StrPath, target: Path) -> None:
    """Rename without replacing: a hard link fails when the name exists, which a rename does not."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS or os.path.lexists(target):
            raise
        os.replace(part, target)  # noqa: PTH105 (a file system without hard links)
    else:
        os.unlink(part)  # noqa: PTH108 (as above)

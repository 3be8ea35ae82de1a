"""What a sensor waits for, and whether what was found is that."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ctadata_providers import ConfigError, FileInfo, NotADirError, uri
from ctadata_providers.patterns import has_magic

_DAY = len("20241114")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a sensor waits for.

    Attributes:
        paths: Addresses, plain paths and patterns; each must be there.
        min_count: How many matches each pattern needs.
        stable_for: Seconds for which nothing of what is there may have changed, by size, time and entity tag, and
            nothing have come.
        newer_than: What was changed before, in epoch seconds, is not looked at; None for no such limit.
    """

    paths: tuple[str, ...]
    min_count: int = 1
    stable_for: float = 0.0
    newer_than: float | None = None

    @classmethod
    def of(cls, path: object, *, min_count: object = 1, stable_for: object = 0, newer_than: object = None) -> "Wanted":
        """Make it of what operators take, where templates may have made texts of everything.

        Raises:
            ConfigError: When something cannot be used.
        """
        paths = [path] if isinstance(path, str) else path
        if not isinstance(paths, Sequence) or not paths or not all(isinstance(one, str) and one for one in paths):
            raise ConfigError(f"path={path!r} cannot be waited for", remedy="give an address, or a list of some")
        count, seconds = _number("min_count", min_count), _number("stable_for", stable_for)
        if count < 1 or count != int(count):
            raise ConfigError(f"min_count={min_count!r} cannot be used", remedy="give a whole number from 1")
        if seconds < 0:
            raise ConfigError(f"stable_for={stable_for!r} cannot be used", remedy="give seconds")
        return cls(
            paths=tuple(dict.fromkeys(paths)), min_count=int(count), stable_for=seconds, newer_than=_time(newer_than)
        )

    @property
    def questions(self) -> dict[str, str]:
        """What is asked for each path: a folder by its name alone, so that a file in its place is noticed."""
        return {path: path if has_magic(path) or _is_root(path) else path.rstrip("/") for path in self.paths}

    def found(self, answers: Mapping[str, Sequence[FileInfo]]) -> list[FileInfo] | None:
        """Return what is there, each once; None when something is missing.

        Args:
            answers: What is there, by what was asked.

        Raises:
            NotADirError: When an address means a folder and a file is there.
        """
        found: dict[str, FileInfo] = {}
        complete = True
        for path, question in self.questions.items():
            infos = [info for info in answers[question] if self._is_new(info)]
            if infos and not has_magic(path) and uri.parse(path).is_folder and not infos[0].is_dir:
                raise NotADirError(f"{path} is a file, not a folder", path=path, remedy="write it without '/'")
            complete = complete and len(infos) >= (self.min_count if has_magic(path) else 1)
            found.update((info.path, info) for info in infos)
        return list(found.values()) if complete else None

    def _is_new(self, info: FileInfo) -> bool:
        return self.newer_than is None or (info.mtime is not None and info.mtime > self.newer_than)


@dataclass
class Calm:
    """Since when nothing has changed.

    Attributes:
        seconds: For how long nothing must have changed; 0 for not at all.
        seen: What stands for what was there at the last look.
        since: When that was seen first, in epoch seconds.
    """

    seconds: float
    seen: str = ""
    since: float = field(default=0.0)

    def settled(self, infos: Iterable[FileInfo], now: float) -> bool:
        """Take note of what is there now, and tell whether it has been so for long enough."""
        if not self.seconds:
            return True
        seen = fingerprint(infos)
        if seen != self.seen or now < self.since:  # a clock that went back starts anew
            self.seen, self.since = seen, now
        return now - self.since >= self.seconds


def fingerprint(infos: Iterable[FileInfo]) -> str:
    """Return what stands for some files and what they hold, as far as a listing tells."""
    lines = sorted(f"{info.path}\0{info.size}\0{info.modified}\0{info.etag}\0" for info in infos)
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def told(infos: Iterable[FileInfo], *, metadata: bool) -> list[Any]:
    """Return files as plain JSON: their canonical addresses, or with `metadata` all that the listing tells of each."""
    if not metadata:
        return [info.uri for info in infos]
    return [
        {
            "uri": info.uri,
            "is_dir": info.is_dir,
            "size": info.size,
            "modified": None if info.mtime is None else datetime.fromtimestamp(info.mtime, UTC).isoformat(),
            "etag": info.etag,
            "checksums": dict(info.checksums),
            "locality": info.locality,
        }
        for info in infos
    ]


def prints(infos: Iterable[FileInfo]) -> dict[str, str]:
    """Return, by path, what stands for each file and what it holds."""
    return {info.path: fingerprint([info])[:12] for info in infos}


def _is_root(path: str) -> bool:
    return uri.parse(path).path == "/"


def _number(name: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError as error:
        raise ConfigError(f"{name}={value!r} cannot be used", remedy="give a number") from error


def _time(value: object) -> float | None:
    """Return a point in time in epoch seconds: of a datetime, an ISO 8601 text (UTC unless it says so), or seconds.

    A whole number of eight digits is a day: native templates make a number of `20241114`.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        return None
    is_day = isinstance(value, int) and len(str(value)) == _DAY
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not is_day:
        return float(value)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError as error:
        raise ConfigError(
            f"newer_than={value!r} cannot be used", remedy="give a date as 2024-11-14T18:00:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

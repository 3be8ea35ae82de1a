"""What exists in a storage, answered from listings that are a few seconds old at most."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future

from ctadata_providers import CtaClient, FileInfo, NotADirError, NotFoundError, PermissionDeniedError, uri
from snakemake_storage_plugin_cta.asking import Threads
from snakemake_storage_plugin_cta.known import Known, Question, Seen
from snakemake_storage_plugin_cta.waiting import ended


class _TooLarge(Exception):
    """A listing was given up."""


class Listing:
    """Answers what a path is, from one listing for many, or one look for few.

    Snakemake asks for existence, time and size of the same files in every scheduling round, in any order. Questions
    that are under way are asked once, whoever waits for them; those that will come soon are asked at the same time.
    Safe to use from several threads; no lock is held while a request runs.

    Args:
        client: Who is asked.
        threads: Run the questions.
        present: Seconds for which a file that was there is taken to be there still.
        absent: Seconds for which a file that was not there is taken to be missing still; short, because Snakemake
            waits for files that other jobs write.
        clock: Gives seconds, never backwards.
    """

    def __init__(
        self,
        client: CtaClient,
        *,
        threads: Threads | None = None,
        present: float = 10.0,
        absent: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._threads = threads or Threads(16)
        self._absent = absent
        self._clock = clock
        self._lock = threading.Lock()
        self._known = Known(present=present, absent=absent)
        self._under_way: dict[Question, Future[None]] = {}

    def want(self, paths: Iterable[str]) -> None:
        """Note objects that jobs have: they will be asked for."""
        with self._lock:
            for path in paths:
                self._known.want(path)

    def find(self, path: str) -> FileInfo | None:
        """Return what is known of a file or folder, None if it does not exist.

        Raises:
            CtaError: When the server had to be asked and did not answer; a missing parent is no error.
        """
        begun = self._clock()
        while True:
            seen = self._answer(path, begun)
            if seen is not None:
                return seen.info
            self._ask(path).result()

    async def found(self, path: str) -> FileInfo | None:
        """Do the same as `find` in an event loop, which is not blocked."""
        begun = self._clock()
        while True:
            seen = self._answer(path, begun)
            if seen is not None:
                return seen.info
            await ended(_shared(self._ask(path)))

    async def around(self, path: str) -> tuple[FileInfo | None, Mapping[str, FileInfo] | None]:
        """Do the same, and return all that stands in the folder, too, if it has just been listed."""
        begun = self._clock()
        info = await self.found(path)
        return info, self._listed(uri.split(path)[0], begun)

    def entries(self, folder: str) -> Mapping[str, FileInfo]:
        """Return all that stands in a folder by name, nothing if there is no such folder.

        Raises:
            PermissionDeniedError: When the folder may not be listed.
            CtaError: When the server had to be asked and did not answer.
        """
        listed = self._listed(folder, self._clock())
        if listed is not None:
            return listed
        if not self._known.folder(folder).may_list:
            raise PermissionDeniedError(f"{folder} may not be listed", path=folder)
        at = self._clock()
        entries = self._read(folder, limited=False)
        with self._lock:
            self._known.listed(folder, entries, at, self._clock())
            return self._known.folder(folder).present()

    def wanted(self, folder: str) -> frozenset[str]:
        """Return the names in a folder that jobs have."""
        with self._lock:
            return frozenset(self._known.folder(folder).wanted)

    def was_missing(self, folder: str) -> bool:
        """Tell whether there was no such folder when it was listed last."""
        with self._lock:
            return self._known.folder(folder).is_missing

    def refresh(self, path: str) -> FileInfo | None:
        """Ask the server for one file or folder, which may just have changed, and remember the answer.

        Raises:
            CtaError: When the server did not answer.
        """
        at = self._clock()
        info = self._stat(path)
        self._remember(path, info, at)
        return info

    def remember(self, info: FileInfo) -> None:
        """Remember a file or folder that was just stored, as the server told of it."""
        self._remember(info.path, info, self._clock())

    def forget(self, path: str) -> None:
        """Remember that a file, or a folder with all in it, was removed."""
        self._remember(path, None, self._clock())

    def _listed(self, folder: str, begun: float) -> Mapping[str, FileInfo] | None:
        """Return all that stands in a folder if it was listed since a time, or if what is missing may be believed."""
        with self._lock:
            known = self._known.folder(folder)
            fresh = known.listed.told >= begun or self._known.believed(known.listed, self._clock())
            return known.present() if known.may_list and fresh else None

    def _remember(self, path: str, info: FileInfo | None, at: float) -> None:
        with self._lock:
            self._known.remember(path, Seen(info, at, self._clock()))

    def _answer(self, path: str, begun: float) -> Seen | None:
        with self._lock:
            return self._known.asked(path, self._clock()) or self._known.told_since(path, begun)

    def _ask(self, path: str) -> Future[None]:
        """Ask for a path, and for what will be asked for soon; return the end of the first."""
        with self._lock:
            question = self._known.question(path)
            answer = self._begin(question)
            for further in self._known.further_questions(path, self._clock()):
                self._begin(further)
            return answer

    def _begin(self, question: Question) -> Future[None]:
        answer = self._under_way.get(question)
        if answer is None:
            answer = self._under_way[question] = self._threads.run(lambda: self._put(question))
        return answer

    def _put(self, question: Question) -> None:
        """Put a question to the server, in a thread, and remember the answer."""
        try:
            if question.act == "look":
                self.refresh(question.path)
            else:
                self._list(question.path)
        finally:
            with self._lock:
                self._under_way.pop(question, None)

    def _list(self, path: str) -> None:
        """List a folder if it may be listed and is not too large; else its names will be looked at one by one."""
        at = self._clock()
        try:
            entries = self._read(path, limited=True)
        except PermissionDeniedError:
            self._known.folder(path).may_list = False
            return
        except _TooLarge:
            return
        if not entries and (entries is not None or self.was_missing(path)) and self._is_hidden(path):
            self._known.folder(path).may_list = False
            return
        with self._lock:
            self._known.listed(path, entries, at, self._clock())

    def _is_hidden(self, path: str) -> bool:
        """Tell whether a folder that seems empty, or still missing, is not.

        dCache shows so what a token may read but not list; a redirecting XRootD goes on telling for a while that a
        folder is missing which somebody's file has made.
        """
        with self._lock:
            wanted = self._known.folder(path).wanted
            name = max(wanted, key=lambda name: wanted[name])
        return self.refresh(f"{path.rstrip('/')}/{name}") is not None

    def _read(self, path: str, *, limited: bool) -> Mapping[str, FileInfo] | None:
        """Return what stands in a folder, None if there is none."""
        entries: dict[str, FileInfo] = {}
        at = self._clock()
        folder = self._known.folder(path)
        try:
            for info in self._client.list_dir(path):
                entries[info.name] = info
                if limited and not folder.holds_enough(len(entries)):
                    self._give_up(path, entries, at)
        except (NotFoundError, NotADirError):
            return None
        return entries

    def _give_up(self, path: str, entries: Mapping[str, FileInfo], at: float) -> None:
        """Keep of a listing what was wanted."""
        told = self._clock()
        with self._lock:
            folder = self._known.folder(path)
            folder.too_large = len(entries)
            for name in folder.wanted.keys() & entries.keys():
                self._known.remember(entries[name].path, Seen(entries[name], at, told))
        raise _TooLarge

    def _stat(self, path: str) -> FileInfo | None:
        try:
            return self._client.stat(path)
        except (NotFoundError, NotADirError):
            return None


def _shared(answer: Future[None]) -> Future[None]:
    """Return a future that ends with another, whose cancellation does not stop it: others wait for the same."""
    own: Future[None] = Future()

    def hand_on(_: Future[None]) -> None:
        if own.set_running_or_notify_cancel():
            error = answer.exception()
            if error is None:
                own.set_result(None)
            else:
                own.set_exception(error)

    answer.add_done_callback(hand_on)
    return own

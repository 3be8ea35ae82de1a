"""An operator that copies from one remote place to another, of one connection or of two."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NoReturn

from airflow.sdk import Context
from airflow.sdk.configuration import conf
from airflow.triggers.base import BaseTrigger

from airflow_provider_cta.copying import copied, plan_of_tree, still_there, there_already
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.operators.base import (
    CtaOperator,
    OnMissing,
    Result,
    as_list,
    as_one,
    check_on_missing,
    skip_if,
)
from airflow_provider_cta.operators.pairs import as_asked, look_for, paired
from airflow_provider_cta.progress import Progress
from airflow_provider_cta.triggers.copying import CtaCopyFolderTrigger, CtaCopyTrigger
from airflow_provider_cta.triggers.errors import error_of
from ctadata_providers import CtaClient, FileInfo, NotFoundError, StorageError, uri
from ctadata_providers.patterns import has_magic

Pairs = list[tuple[FileInfo, str]]


class CtaCopyOperator(CtaOperator):
    """Copy a file, files, or a folder with all that is below it, from one remote place to another.

    The servers copy by themselves where they can: inside one server, or from server to server (each must be named in
    `copy_hosts` of the other's connection, for the one that acts is given the token for the other). Else the bytes pass
    through the worker. Missing parent folders are made.

    The result tells `uri` (of the copy) and `source`, both canonical, and `size`; of a file also `checksums` and the
    `way`: `server`, `pull`, `push`, `client` (through the worker), or `before` (deferred, it was there already with the
    same checksum); of a folder the number of `files`. Of a list or a pattern it is a list.

    Args:
        source: The source, a `cta://` address or plain path; `cta://name@...` names the connection. A trailing `/`
            means a folder. Several files are a list, or a pattern.
        target: The target, likewise; for files, a trailing `/` means the folder to put them into. For a list also a
            list of as many targets.
        overwrite: Replace what exists; without it that is an `AlreadyExistsError`.
        recursive: The source is a folder although it has no trailing `/`.
        on_missing: `fail`, or `skip`: leave out what is not there, and skip the task when nothing is.
        deferrable: Have the triggerer wait for the servers, without a worker; what they do not copy among themselves a
            worker copies afterwards. Default `[operators] default_deferrable`.
        cta_conn_id: The connection for an address that names none.
        target_conn_id: The connection for a target that names none; default that of `cta_conn_id`.
        checksum: `auto`, `require` or `off`; default what each connection says.
        **kwargs: What every operator takes.
    """

    template_fields: Sequence[str] = ("source", "target", "cta_conn_id", "target_conn_id")

    def __init__(
        self,
        *,
        source: str | Sequence[str],
        target: str | Sequence[str],
        overwrite: bool = True,
        recursive: bool = False,
        on_missing: OnMissing = "fail",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        target_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target
        self.overwrite = overwrite
        self.recursive = recursive
        self.on_missing = on_missing
        self.deferrable = deferrable
        self.target_conn_id = target_conn_id

    def _work(self, context: Context) -> Result | list[Result]:
        check_on_missing(self.on_missing)
        with ExitStack() as stack:
            source, target = self._clients(stack)
            self._go_on(context, source)
            if self._is_folder and not self.deferrable:
                return self._done(context, self._tree(source, target))
            if self._is_folder:
                self._check_folders(source)
                return self._defer(CtaCopyFolderTrigger(*self._folders, **self._of_trigger))
            pairs = self._plan(source)
            if not self.deferrable:
                return self._done(context, self._copy(source, target, pairs))
        if not pairs:
            return self._done(context, [])
        self.log.info("Leaving %d copies to the triggerer", len(pairs))
        return self._defer(CtaCopyTrigger([(info.uri, to) for info, to in pairs], **self._of_trigger))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Result | list[Result]:
        """Copy what the servers did not copy among themselves, and return what was done.

        Raises:
            CtaError: What the trigger could not go on with; or as the client raised it.
        """
        if event["status"] != "success":
            raise error_of(event)
        if event["left"] == []:
            return self._done(context, event.get("copied", [event]))
        with self._killable(), ExitStack() as stack:
            source, target = self._clients(stack)
            self._go_on(context, source)
            if event["left"] is None:
                return self._done(context, self._rest_of_tree(source, target))
            found = source.glob_many(path for path, _ in event["left"])
            made = self._copy(source, target, [(still_there(path, found), to) for path, to in event["left"]])
        if "copied" not in event:
            return self._done(context, [event, *made])
        rest = iter(made)
        return self._done(context, [next(rest) if result is None else result for result in event["copied"]])

    @property
    def _of_trigger(self) -> dict[str, Any]:
        return {
            "source_conn_id": self._source_conn,
            "target_conn_id": self._target_conn,
            "overwrite": self.overwrite,
            "checksum": self.checksum,
        }

    def _defer(self, trigger: BaseTrigger) -> NoReturn:
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)

    # Where from and where to.

    @property
    def at_the_door(self) -> tuple[Any, str]:
        """The target."""
        return self.target, self.target_conn_id or self.cta_conn_id

    @property
    def _sources(self) -> list[str]:
        return as_list(self.source, "source")

    @property
    def _source_conn(self) -> str:
        return self._one_conn_id(self._sources)

    @property
    def _target_conn(self) -> str:
        default = self.target_conn_id or self.cta_conn_id
        return self._one_conn_id(as_list(self.target, "target"), default=default)

    @property
    def _is_folder(self) -> bool:
        if not isinstance(self.source, str) or has_magic(self.source):
            return False
        return self.recursive or uri.parse(self.source).is_folder

    @property
    def _folders(self) -> tuple[str, str]:
        return as_one(self.source, "source"), as_one(self.target, "target")

    def _clients(self, stack: ExitStack) -> tuple[CtaClient, CtaClient]:
        """Return the clients of both sides, one where they are one connection."""
        source = stack.enter_context(self._client(self._source_conn))
        if self._source_conn == self._target_conn:
            return source, source
        return source, stack.enter_context(self._client(self._target_conn))

    def _plan(self, source: CtaClient) -> Pairs:
        found = look_for(source, self._sources, self.on_missing)
        return paired(self._sources, found, self.target, "target", lambda address: uri.parse(address).path)

    def _check_folders(self, source: CtaClient) -> None:
        """Tell at once what a triggerer could not do."""
        top, into = self._folders
        above, below = (uri.parse(folder).path.rstrip("/") for folder in (top, into))
        if self._source_conn == self._target_conn and f"{below}/".startswith(f"{above}/"):
            raise StorageError(f"cannot copy {top} into itself", path=below, remedy="name another target")
        with self._skipping(top):
            source.stat(top)

    @contextmanager
    def _skipping(self, top: str) -> Iterator[None]:
        """Skip the task when the folder to copy is not there and `on_missing` says so."""
        try:
            yield
        except NotFoundError as error:
            skip_if(error.path == uri.parse(top).path, self.on_missing, f"{top} is not there")
            raise

    # Copying.

    def _tree(self, source: CtaClient, target: CtaClient) -> list[Result]:
        top, into = self._folders
        with self._skipping(top):
            done = source.copy_tree(top, into, to=target, overwrite=self.overwrite, progress=Progress(None, self.log))
        return [{"files": done.files, "size": done.size}]

    def _rest_of_tree(self, source: CtaClient, target: CtaClient) -> list[Result]:
        """Copy what is not there yet; the result counts what is, too."""
        files = size = 0

        def missing() -> Iterator[tuple[FileInfo, str]]:
            nonlocal files, size
            for planned in plan_of_tree(source, self._folders[0], target, self._folders[1]):
                files, size = files + 1, size + (planned.info.size or 0)
                if there_already(source, planned.info, target, planned.existing) is None:
                    yield planned.info, planned.target

        progress = Progress(None, self.log)
        with closing(source.copy_many(missing(), to=target, overwrite=self.overwrite, progress=progress)) as ended:
            for _, outcome in ended:
                outcome.result()  # the first error ends it; those under way are stopped
        return [{"files": files, "size": size}]

    def _copy(self, source: CtaClient, target: CtaClient, pairs: Pairs) -> list[Result]:
        progress = Progress(sum(info.size or 0 for info, _ in pairs), self.log)
        done: dict[str, Result] = {}
        with closing(source.copy_many(pairs, to=target, overwrite=self.overwrite, progress=progress)) as ended:
            for (_, to), outcome in ended:
                done[to] = copied(outcome.result())  # the first error ends it; those under way are stopped
        return [done[to] for _, to in pairs]

    def _done(self, context: Context, results: list[Result]) -> Result | list[Result]:
        """Tell Airflow what was done, and return the result of the task."""
        size, files = sum(result["size"] for result in results), sum(result.get("files", 1) for result in results)
        if self._is_folder:
            here, there = (uri.parse(folder).path for folder in self._folders)
            places = {"uri": uri.format_uri(there, folder=True), "source": uri.format_uri(here, folder=True)}
            results = [{**places, "files": files, "size": size}]
        self._tell(context, CtaHook(self._source_conn).config(), read=[result["source"] for result in results])
        self._tell(context, CtaHook(self._target_conn).config(), wrote=results)
        self.log.info("Copied %d files, %d bytes", files, size)
        for result in results if len(results) == 1 else ():
            self.log.info("%s", result)
        return results[0] if self._is_folder else as_asked(self.source, results, "source")

"""Snakemake storage plugin for the data of the Cherenkov Telescope Array: `storage.cta("cta://lst/…")`."""
# mypy: disable-error-code="import-untyped"
# (The interface ships no py.typed; the classes that inherit from it say so again.)

import os
import re
import threading
from collections import deque
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_storage_plugins.common import Operation
from snakemake_interface_storage_plugins.storage_provider import (
    ExampleQuery,
    QueryType,
    StorageProviderBase,
    StorageQueryValidationResult,
)

from snakemake_storage_plugin_cta import leftovers, outputs, places, queries
from snakemake_storage_plugin_cta.objects import StorageObject
from snakemake_storage_plugin_cta.settings import StorageProviderSettings

if TYPE_CHECKING:
    from pathlib import Path

    from ctadata_providers import Config
    from snakemake_storage_plugin_cta.storage import Storage

__all__ = ["StorageObject", "StorageProvider", "StorageProviderSettings"]

_EVERYWHERE = ("max_parallel", "streams", "limit_rate", "retries", "checksum", "max_requests_per_second", "refresh")
"""Settings that also hold for an instance named in an address; the others, and those of the environment, would send it
somebody else's token."""

_NOBODYS = ("HOME", "XDG_CONFIG_HOME", "CTA_CA_PATH", "X509_CERT_DIR", "CTA_REFRESH")
"""Of the environment, what says where profiles and trusted CAs are, and who refreshes: no place and no credential."""


_TAGGED = re.compile(r"(\w+):https?://")
"""Of `tag::value` on its command line, what Snakemake hands on to a job that runs in a process of its own."""

DECLARED = 1000
"""Objects after which the workflow that they belong to is looked for; one object of a rule among them tells it."""


class StorageProvider(StorageProviderBase):  # type: ignore[misc]  # the interface is untyped
    """Holds one storage for each profile that the addresses of a workflow name, made at its first use."""

    def __post_init__(self) -> None:
        self._storages: dict[str | None, Storage] = {}
        self._lock = threading.Lock()
        self._declaring = threading.local()
        self._declared: deque[StorageObject] = deque()
        self._workflow: Any = None
        self._claimed: set[str | None] = set()
        self._protected: set[str] | None = None
        self._written: set[str] | None = None
        self._wanted: deque[str] = deque()
        self._wanted_of: dict[str | None, list[str]] = {}
        self.key_prefix = str(self.local_prefix / "x").removesuffix("x")
        """What keys of Snakemake's cache begin with."""
        known = {spec.name for spec in fields(StorageProviderSettings)}
        unknown = vars(self.settings or StorageProviderSettings()).keys() - known - {"keep_local", "retrieve"}
        if unknown:
            raise WorkflowError(
                f"Unknown setting of storage provider cta: {', '.join(sorted(unknown))}. Known are "
                f"{', '.join(sorted(known))}. A token is given as token_file or in the environment as BEARER_TOKEN."
            )

    @classmethod
    def example_queries(cls) -> list[ExampleQuery]:
        """Return queries that show what can be asked for."""
        return [
            ExampleQuery(
                query="cta://lst/DL1/20241114/v0.1/dl1_LST-1.Run11111.0100.h5",
                type=QueryType.ANY,
                description="A file; lst is the first folder below the base path.",
            ),
            ExampleQuery(
                query="cta://lst/DL3/20241114/dl3_{run}.fits.gz",
                type=QueryType.ANY,
                description="Wildcards. All other characters, such as '#', '%' or a blank, stand for themselves.",
            ),
            ExampleQuery(
                query="cta://dev@lst/users/alice/results/",
                type=QueryType.ANY,
                description="A folder (use directory()) of the instance that the profile 'dev' describes.",
            ),
        ]

    @classmethod
    def is_valid_query(cls, query: str) -> StorageQueryValidationResult:
        """Accept `cta://` addresses, with and without wildcards."""
        reason = queries.fault(query)
        return StorageQueryValidationResult(query=query, valid=reason is None, reason=reason)

    def use_rate_limiter(self) -> bool:
        """Decline: it would count answers that cost no request; the client limits real requests."""
        return False

    def rate_limiter_key(self, query: str, operation: Operation) -> Any:
        """Return the profile; Snakemake asks only where `use_rate_limiter` is true."""
        return queries.parse(query).name

    def default_max_requests_per_second(self) -> float:
        """Return what the client keeps to on dCache, which bans above 250."""
        return 200.0

    def object(self, query: str, *args: Any, **options: Any) -> Any:
        """Return the object of a query that stands in a workflow; those of jobs are made of it, without this method."""
        self._declaring.now = True
        try:
            made = super().object(query, *args, **options)
        finally:
            self._declaring.now = False
        if self._workflow is None:
            self._declared.append(made)
            if len(self._declared) >= DECLARED:
                self._find_workflow()
        return made

    def _find_workflow(self) -> Any:
        """Return the workflow that this provider belongs to, None as long as no rule with an object is known."""
        if self._workflow is None:
            self._workflow = outputs.workflow_of(self._declared)
            while self._declared and (self._workflow is not None or len(self._declared) > DECLARED // 2):
                self._declared.popleft()
        return self._workflow

    @property
    def is_declaring(self) -> bool:
        """Whether the object that is being made stands in the workflow, and belongs to no job yet."""
        return getattr(self._declaring, "now", False)

    def want(self, query: str) -> None:
        """Note the object of a job: it will be asked for."""
        self._wanted.append(query)

    def writes(self, query: str) -> bool:
        """Tell whether the workflow says that it writes this; yes where nothing is known of a workflow."""
        workflow = self._find_workflow()
        return workflow is None or any(outputs.covers(pattern, query) for pattern in outputs.written(workflow))

    def protects(self, query: str) -> bool:
        """Tell whether the workflow says that this is to be write-protected. To be asked when all rules are known."""
        if self._protected is None:
            workflow = self._find_workflow()
            self._protected = set() if workflow is None else outputs.flagged(workflow, "protected")
        return any(outputs.covers(pattern, query) for pattern in self._protected)

    def delivers(self, copy: "Path") -> bool:
        """Tell whether this is a local copy of what a checkpoint has made, so that input functions look at it now."""
        checkpoints = getattr(self._workflow, "checkpoints", None)
        return checkpoints is not None and str(copy) in checkpoints.created_output

    def is_unproven(self, profile: str | None, query: str) -> bool:
        """Tell whether this is an output of a job to be, and the first that is asked for at the storage of its profile.

        Snakemake does so where an error ends in a page of tracebacks; for inputs of targets it asks elsewhere before.
        """
        storage = self._storages.get(profile)
        if storage is not None and storage.has_answered:
            return False
        workflow = self._find_workflow()
        if getattr(workflow, "persistence", None) is None or not workflow.is_main_process:
            return False
        targets = (made for made in outputs.inputs(workflow.dag.targetrules) if made.provider is self)
        if any(queries.parse(made.query).name == profile for made in targets):
            return False
        if self._written is None:
            self._written = outputs.written(workflow)
        return any(outputs.covers(pattern, query) for pattern in self._written)

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process of the workflow, and not of one of its jobs; False while that is not known."""
        return getattr(self._workflow, "is_main_process", False)

    def storage(self, profile: str | None) -> "Storage":
        """Return the storage of a profile, None being the provider's own.

        Raises:
            ConfigError: For an unknown profile or a setting that cannot be used.
        """
        storage = self._storages.get(profile)
        if storage is None:
            from snakemake_storage_plugin_cta.storage import Storage

            with self._lock:
                if profile not in self._storages:
                    self._storages[profile] = Storage(self._config(profile), self.local_prefix)
                storage = self._storages[profile]
        if profile not in self._claimed:
            self._claim(profile, storage.instance)
        if self._wanted or profile in self._wanted_of:
            storage.listing.want(self._wanted_paths(profile))
        return storage

    def _claim(self, profile: str | None, instance: str) -> None:
        """Remove the copies that are none, as soon as all rules are known and before any copy is used."""
        with self._lock:
            workflow = self._find_workflow()
            if profile in self._claimed or getattr(workflow, "persistence", None) is None:
                return
            if workflow.is_main_process and not workflow.dryrun:
                places.claim(self.local_prefix, profile, instance)
                if not self._claimed:
                    leftovers.clear(workflow, self.local_prefix)
            self._claimed.add(profile)

    def _wanted_paths(self, profile: str | None) -> list[str]:
        with self._lock:
            while self._wanted:
                address = queries.parse(self._wanted.popleft())
                self._wanted_of.setdefault(address.name, []).append(address.path)
            return self._wanted_of.pop(profile, [])

    def _config(self, profile: str | None) -> "Config":
        from ctadata_providers import Config, ConfigError

        given = {spec.name: getattr(self.settings, spec.name, None) for spec in fields(StorageProviderSettings)}
        for name, value in given.items():
            if isinstance(value, str) and (tagged := _TAGGED.match(value)):
                raise ConfigError(
                    f"setting {name}: the tag of {value!r} does not reach a job that runs in a process of its own",
                    remedy=f"give it in the Snakefile (storage {tagged[1]}: …), or write cta://dev@… with a profile",
                )
        if profile in (None, given["profile"] or os.environ.get("CTA_PROFILE")):
            return Config.from_env(**given)
        environ = {name: os.environ[name] for name in _NOBODYS if name in os.environ}
        return Config.from_env(environ, profile=profile, **{name: given[name] for name in _EVERYWHERE})

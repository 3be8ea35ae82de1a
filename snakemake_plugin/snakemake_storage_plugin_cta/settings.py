"""Settings of the storage provider: places and files, never a secret."""
# mypy: disable-error-code="import-untyped"
# (The interface ships no py.typed; the class that inherits from it says so again.)
# ruff: noqa: UP045
# (Snakemake understands the types of settings only as `Optional[…]`.)

from dataclasses import dataclass, field
from typing import Any, Optional

from snakemake_interface_storage_plugins.settings import StorageProviderSettingsBase


def _setting(text: str) -> Any:
    return field(default=None, metadata={"help": text})


@dataclass
class StorageProviderSettings(StorageProviderSettingsBase):  # type: ignore[misc]  # the interface is untyped
    """Settings: places and files, never a secret, because Snakemake writes them on the command lines of jobs.

    What is not given comes from the profile and the environment, inside each job.
    """

    profile: Optional[str] = _setting(
        "Name of the instance: 'prod', 'dev' or a profile of ~/.config/ctadata-providers/config.toml "
        "(else CTA_PROFILE). A name in the address, as in cta://dev@lst/file, chooses another one for that address."
    )
    door_url: Optional[str] = _setting("WebDAV door, https://host:port (else CTA_DOOR_URL).")
    base_path: Optional[str] = _setting("Folder at the door below which all addresses lie (else CTA_BASE_PATH).")
    service_url: Optional[str] = _setting(
        "CTA downloadservice, https://host/services/downloadservice/, in place of a door (else CTADS_URL); its token "
        "comes from JUPYTERHUB_API_TOKEN, in each job."
    )
    certificate_service_url: Optional[str] = _setting(
        "CTA certificateservice (else CTACS_URL, else beside the downloadservice)."
    )
    hub_url: Optional[str] = _setting("JupyterHub of the services (else CTA_HUB_URL, else https://host/hub/).")
    token_file: Optional[str] = _setting("File that holds a bearer token (else BEARER_TOKEN_FILE or BEARER_TOKEN).")
    token_command: Optional[str] = _setting(
        "Program with its arguments, run without a shell, that prints a bearer token (else CTA_TOKEN_COMMAND)."
    )
    oidc_account: Optional[str] = _setting("Account of a running oidc-agent, or its issuer (else CTA_OIDC_ACCOUNT).")
    issuer: Optional[str] = _setting("OpenID Connect issuer, https://host/realms/name (else CTA_ISSUER).")
    client_id: Optional[str] = _setting("Name of the client at the issuer (else CTA_CLIENT_ID).")
    client_secret_file: Optional[str] = _setting(
        "File with the client's secret, open to nobody else (else CTA_CLIENT_SECRET_FILE or CTA_CLIENT_SECRET)."
    )
    grant_type: Optional[str] = _setting(
        "'refresh_token' goes on with the session of 'ctadata login', 'client_credentials' is for robots "
        "(else CTA_GRANT_TYPE, else refresh_token)."
    )
    scope: Optional[str] = _setting("Scopes to ask the issuer for, separated by blanks (else CTA_SCOPE).")
    audience: Optional[str] = _setting("Whom the tokens shall be for (else CTA_AUDIENCE).")
    refresh: Optional[str] = _setting(
        "'auto' refreshes tokens where they are used, 'never' uses those that another process keeps fresh "
        "(else CTA_REFRESH, else auto)."
    )
    proxy_file: Optional[str] = _setting("X.509 proxy: certificate, key and chain in one file (else X509_USER_PROXY).")
    cert_file: Optional[str] = _setting("Client certificate, PEM (else X509_USER_CERT).")
    key_file: Optional[str] = _setting("Private key of the client certificate, PEM (else X509_USER_KEY).")
    ca_path: Optional[str] = _setting(
        "Trusted CAs beside the system's: hashed folder or PEM file (else CTA_CA_PATH or X509_CERT_DIR)."
    )
    trusted_hosts: Optional[str] = _setting(
        "Hosts, separated by commas, to which a redirect may carry the credential, as *.example.org "
        "(else CTA_TRUSTED_HOSTS)."
    )
    copy_hosts: Optional[str] = _setting(
        "Hosts, separated by commas, that may be the other side of a copy from server to server, as *.example.org "
        "(else CTA_COPY_HOSTS)."
    )
    allow_http_pools: Optional[str] = _setting(
        "'true' follows redirects to plain-http pools, without credential (else CTA_ALLOW_HTTP_POOLS, else false)."
    )
    max_parallel: Optional[int] = _setting("Transfers at once (else CTA_MAX_PARALLEL, else 16, with the services 4).")
    streams: Optional[int] = _setting(
        "Connections for one large download (else CTA_STREAMS, else as many as help, up to 8)."
    )
    limit_rate: Optional[str] = _setting(
        "Most bytes a second of a process, such as 500k or 10M (else CTA_LIMIT_RATE, else no limit)."
    )
    retries: Optional[int] = _setting("How often a passing fault is tried again (else CTA_RETRIES, else 5).")
    checksum: Optional[str] = _setting(
        "'auto' verifies checksums where that costs little, 'require' fails without one, 'off' looks at the size only "
        "(else CTA_CHECKSUM)."
    )

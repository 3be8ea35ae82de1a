"""The functions of `ctadata`, so that its users change one import line.

::

    import ctadata_providers.compat as ctadata                  # for: import ctadata
    from ctadata_providers.compat import direct as ctadata      # for: from ctadata import direct as ctadata

They have the names, arguments and results of ctadata 0.6.2 and 0.7.0, and use the services or a door, whichever the
settings lead to; those of `direct` always a door. docs/from-ctadata.md tells what is different.
"""

from ctadata_providers import __version__
from ctadata_providers.compat import api, direct
from ctadata_providers.compat.api import APIClient, CertificateError, StorageException, api_client
from ctadata_providers.compat.entries import Entry
from ctadata_providers.compat.settings import Overrides

__all__ = [
    "APIClient",
    "CertificateError",
    "Entry",
    "Overrides",
    "StorageException",
    "__version__",
    "api",
    "direct",
    "fetch_and_save_file",
    "fetch_and_save_file_or_dir",
    "list_dir",
    "start_agent_daemon",
    "upload_certificate",
    "upload_dir",
    "upload_file",
    "upload_personal_certificate",
    "upload_shared_certificate",
    "webdav4_client",
]

list_dir = api_client.list_dir
fetch_and_save_file = api_client.fetch_and_save_file
fetch_and_save_file_or_dir = api_client.fetch_and_save_file_or_dir
upload_file = api_client.upload_file
upload_dir = api_client.upload_dir
upload_personal_certificate = api_client.upload_personal_certificate
upload_certificate = api_client.upload_certificate
upload_shared_certificate = api_client.upload_shared_certificate
start_agent_daemon = api_client.start_agent_daemon
webdav4_client = api_client.webdav4_client

"""Proxies and certificates of the grid: made, checked, and delegated to the CTA services.

Imported lightly: what a function needs is loaded when it is called.
"""

from ctadata_providers.certificates.delegation import (
    KEYS,
    CertificateKey,
    UploadedCertificate,
    upload_personal,
    upload_shared,
)
from ctadata_providers.certificates.proxies import check_proxy, create_proxy, inspect_proxy, proxy_path
from ctadata_providers.certificates.state import KeyState, KeyStatus, ServicesStatus, ServiceStatus, status
from ctadata_providers.credentials.x509.certificate import Kind, ProxyInfo

__all__ = [
    "KEYS",
    "CertificateKey",
    "KeyState",
    "KeyStatus",
    "Kind",
    "ProxyInfo",
    "ServiceStatus",
    "ServicesStatus",
    "UploadedCertificate",
    "check_proxy",
    "create_proxy",
    "inspect_proxy",
    "proxy_path",
    "status",
    "upload_personal",
    "upload_shared",
]

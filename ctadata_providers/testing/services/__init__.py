"""The CTA services of the fake data centre, as they were seen behind a JupyterHub.

`server` is the one listener: it leads to the `hub`, the `downloadservice` and the `certificateservice`. A `gate` stands
before each service, `process` is the threads that it has and its death, `certificates` what users have delegated. The
downloadservice reads and writes an `upstream`, which is the storage as a WebDAV server; `webdav` passes requests on,
`uploading` has a way of its own, and `rewriting` is what happens to their bodies. `front` is what `FakeCta` has of it.
"""

"""The client and the engines on real servers; all but WsgiDAV come from Debian packages (marker `real`)."""

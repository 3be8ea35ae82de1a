"""`cta://` for `ObjectStoragePath`."""

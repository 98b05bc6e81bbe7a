"""One adapter per framework, reached only through the registry."""

if __name__ != "crossnn.backends":
    raise ImportError(f"imported as {__name__!r}; this folder is installed as crossnn.backends")

"""The specifications: data only, one TOML file per kind."""

if __name__ != "crossnn.specs":
    raise ImportError(f"imported as {__name__!r}; this folder is installed as crossnn.specs")

"""What frameworks write to standard error while they are imported and called in this very process.

Their C++ parts log before any setting of theirs is heard (absl does, in TensorFlow 2.21). A worker's standard error is
a file; here it is one for a while too. Where something fails, what was written is shown after all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from crossnn.errors import CrossnnError


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep standard error, that of C code included, to ourselves; write it out only where an exception passes."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # there is none
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        except CrossnnError:  # ours say all there is to say
            failed = False
            raise
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                file.seek(0)
                os.write(2, file.read())

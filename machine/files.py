"""Writing a file so that a reader finds it complete or not at all, also after a crash."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file beside its place, then move it there: a reader sees the old content or the new, never a part.

    The folder must exist. Names that begin with a dot are left to such unfinished files.

    Parameters
    ----------
    durable
        Whether the data are forced to the disk, so that they also survive the end of the machine and not only that of
        the process. An object that a round needs once does not need it.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left beside it then.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

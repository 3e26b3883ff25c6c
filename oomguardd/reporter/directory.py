"""The history's directory, made while we may, for the user that we become.

Rule of this file: what somebody else has made is not taken from them. A directory that is named by
mistake must not change its owner.
"""

from __future__ import annotations

import os

MODE = 0o755


def prepare_directory(path: str, uid: int, gid: int) -> str:
    """Makes the directory for that user, parents for ourselves. Empty, or what is wrong and the remedy.

    One that exists already stays as it is.
    """
    parent, name = os.path.split(path.rstrip("/"))
    try:
        os.makedirs(parent or "/", MODE, exist_ok=True)
        parent_fd = os.open(parent or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return f"{path}: {error.strerror} (create it for the reporter's user, or set history.directory)"
    try:
        os.mkdir(name, MODE, dir_fd=parent_fd)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
        try:
            os.fchmod(made, MODE)
            if os.geteuid() == 0:
                os.fchown(made, uid, gid)
        finally:
            os.close(made)
    except FileExistsError:
        pass
    except OSError as error:
        return f"{path}: {error.strerror} (create it for the reporter's user, or set history.directory)"
    finally:
        os.close(parent_fd)
    return ""

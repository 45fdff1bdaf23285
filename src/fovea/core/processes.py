"""Processes that do not outlive those that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with(parent: int, signum: int = signal.SIGKILL) -> None:
    """Lets the kernel end this process when its parent ends, however that comes about. On Linux alone.

    Args:
        parent: The process that must be this one's parent now; if it is not, it has died already, and so does this one.
        signum: What the kernel sends.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def heed_parent_alone() -> None:
    """SIGTERM ends this process from now on only if its parent sent it, which then wants nothing of it any more.

    Who stops a command often tells its whole process group; what becomes of a helper, the one that it helps decides.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_listen, args=(os.getppid(),), daemon=True).start()


def _listen(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)

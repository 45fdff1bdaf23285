"""OpenCV in the calling thread."""

from __future__ import annotations


def single_threaded() -> None:
    """Keeps OpenCV's own threads and OpenCL out of this process and of those forked from it.

    A pool of threads in each of many workers asks for more threads than there are cores, and a fork of a used pool
    hangs.
    """
    import cv2

    cv2.setNumThreads(0)
    cv2.ocl.setUseOpenCL(False)

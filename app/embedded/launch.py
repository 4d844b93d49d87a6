"""Becomes another program that can't outlive whoever asked for it, and that PostgreSQL's refusal of root can't stop.

Run by path, as `python -I -S launch.py --parent PID --signal NAME [...] -- PROGRAM ARGUMENT...`, with the standard
library only: it is a process of its own (20 ms) because the kernel's switches used here belong to a single-threaded
process between fork and exec, which a `preexec_fn` in a program with threads is not.

--parent PID    end with this process: by the kernel's parent-death signal on Linux, by a watcher elsewhere
--signal NAME   with what: KILL, QUIT ...
--unprivileged  as root only: continue under the account `nobody`
--own PATH      give this folder to that account first
--reach PATH    what that account must be able to read and, being a folder or a program, to enter or to run
--enter PATH    folders that it need only enter
"""

import ctypes
import getopt
import os
import pwd
import signal
import struct
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWUSER = 0x10000000

WATCH_INTERVAL_S = 0.5  # where the kernel has no parent-death signal, a child outlives its parent by this at most
NOBODY = 65534  # the number everyone uses, for systems whose passwd has no such name


def libc_call(name: str, *arguments: int | bytes) -> None:
    """Calls a function of libc. Raises OSError when it answers with anything but 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def plainly(uid: int, gid: int) -> None:
    """The ordinary way to leave root."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def with_capability(capability: int, uid: int, gid: int) -> None:
    """Leaves root, but keeps the right to pass folders that are closed to others, as root's home is.

    The secure bit is for access(2): without it the kernel drops capabilities in that one call, and initdb asks it.
    """
    libc_call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    plainly(uid, gid)
    bit = 1 << capability
    libc_call("capset", struct.pack("Ii", CAPABILITY_VERSION_3, 0), struct.pack("6I", bit, bit, bit, 0, 0, 0))
    libc_call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def in_a_namespace(uid: int, gid: int) -> None:
    """Stays root for the file system and is somebody else for itself: for sandboxes where root may not change its id."""
    libc_call("unshare", CLONE_NEWUSER)
    for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} 0 1"), ("gid_map", f"{gid} 0 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib would double this program's start
            file.write(content)


Way = Callable[[int, int], None]
WAYS: tuple[tuple[Way, bool], ...] = (  # the least power first; True where files must belong to the account
    (plainly, True),
    (lambda uid, gid: with_capability(CAP_DAC_READ_SEARCH, uid, gid), True),
    (lambda uid, gid: with_capability(CAP_DAC_OVERRIDE, uid, gid), True),  # a container's root has only this one
    (in_a_namespace, False),
)


def works(way: Way, uid: int, gid: int, reach: list[str], enter: list[str]) -> bool:
    """Tries the way in a child, because none of them can be taken back."""
    child = os.fork()
    if child == 0:
        try:
            way(uid, gid)
            reached = all(os.access(path, os.R_OK) for path in reach)
            reached = reached and all(os.access(path, os.X_OK) for path in reach + enter)
        except OSError:
            reached = False
        os._exit(0 if reached else 1)
    return os.waitpid(child, 0)[1] == 0


def give(path: str, uid: int, gid: int) -> None:
    """Hands a folder with everything in it to an account."""
    if os.stat(path).st_uid == uid:  # noqa: PTH116
        return
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            os.chown(os.path.join(folder, name), uid, gid, follow_symlinks=False)  # noqa: PTH118
    os.chown(path, uid, gid)  # last: an interrupted walk is done again


def leave_root(own: list[str], reach: list[str], enter: list[str]) -> None:
    """Goes on as `nobody`, in the first way that this system allows. Ends the process when there is none."""
    try:
        account = pwd.getpwnam("nobody")
        uid, gid = account.pw_uid, account.pw_gid
    except KeyError:
        uid = gid = NOBODY
    for way, files_change_hands in WAYS:
        if not works(way, uid, gid, reach, enter):
            continue
        for path in own:
            give(path, *((uid, gid) if files_change_hands else (0, 0)))
        way(uid, gid)
        return
    sys.exit(
        "PostgreSQL does not run as root, and the account 'nobody' can't read all of: "
        + ", ".join(reach + enter)
        + ". Run this as an ordinary user, or from a folder that everyone may enter."
    )


def end_with(parent: int, number: int) -> None:
    """Arranges that this process gets a signal when its parent is gone, and ends it when that is so already."""
    if sys.platform == "linux":
        libc_call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)
    else:
        program = os.getpid()
        if os.fork() == 0:
            while os.getppid() == program:
                try:
                    os.kill(parent, 0)
                except OSError:
                    os.kill(program, number)
                    break
                time.sleep(WATCH_INTERVAL_S)
            os._exit(0)
    if os.getppid() != parent:
        sys.exit(f"The process {parent} that asked for this one is gone.")


def main(arguments: list[str]) -> None:
    names = ["parent=", "signal=", "unprivileged", "own=", "reach=", "enter="]
    options, program = getopt.getopt(arguments, "", names)
    chosen = dict(options)
    if "--unprivileged" in chosen and os.geteuid() == 0:
        leave_root(
            own=[value for name, value in options if name == "--own"],
            reach=[value for name, value in options if name == "--reach"],
            enter=[value for name, value in options if name == "--enter"],
        )
    # After the change of account, which clears the parent-death signal.
    end_with(int(chosen["--parent"]), signal.Signals[f"SIG{chosen['--signal']}"])
    os.execv(program[0], program)  # noqa: S606 - becoming another program is what this file is for


if __name__ == "__main__":
    main(sys.argv[1:])

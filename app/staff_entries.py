"""What the audit log says of the platform's staff: who it was on which machine, and what was done."""

import os
import pwd

from domain.audit import ActorKind, AuditEntry
from gateway.world import World


def machine_login() -> str:
    """Who runs this process, as the machine knows him, and not as the environment says, which anybody may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())


def operator(name: str) -> str:
    """An operator for the audit log: the name that was given is a claim, the login beside it is not."""
    return f"{name} (login {machine_login()})"


def staff_entry(world: World, action: str, subject: str, note: str = "") -> AuditEntry:
    """The entry of a command. Those that ask for no name are `staff`'s."""
    return AuditEntry(
        id=world.new_uuid(),
        at=world.now(),
        kind=ActorKind.OPERATOR,
        actor=operator("staff"),
        action=action,
        subject=subject,
        note=note,
    )

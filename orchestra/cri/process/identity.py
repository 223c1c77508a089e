"""Which user and groups a container's program has."""

from __future__ import annotations

import grp
import os
import pwd

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri.process.host.launch import Identity


def choose_identity(security: pb.LinuxContainerSecurityContext) -> Identity:
    """Return the identity that a security context asks for; all None when it asks for nothing.

    As in containerd: a user that the system knows brings its own group, another one group 0, and the groups that the
    system lists the user in are added unless the policy is Strict. The system is the host's, as there is no image.
    Raises `LookupError` for an unknown user name, `PermissionError` when this process may not change identity.
    """
    uid = security.run_as_user.value if security.HasField("run_as_user") else None
    gid = security.run_as_group.value if security.HasField("run_as_group") else None
    if uid is None and security.run_as_username:
        try:
            uid = pwd.getpwnam(security.run_as_username).pw_uid
        except KeyError:
            raise LookupError(
                f"unable to find user {security.run_as_username}: no matching entries in passwd file"
            ) from None
    if uid is None and gid is None and not security.supplemental_groups:
        return Identity(uid=None, gid=None, groups=None)
    effective = os.geteuid() if uid is None else uid
    user = _user(effective)
    if gid is None:
        gid = os.getegid() if uid is None else (user.pw_gid if user else 0)
    groups = {gid, *security.supplemental_groups}
    if security.supplemental_groups_policy == pb.Merge:
        if user is not None:
            groups.update(group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem)
        if uid is None:
            groups.update(os.getgroups())
    identity = Identity(uid=effective, gid=gid, groups=sorted(groups))
    _check_permitted(identity)
    return identity


def describe(identity: Identity) -> pb.ContainerUser:
    """Return the identity in the CRI's form, with this process's own where nothing was asked for."""
    groups = identity["groups"]
    return pb.ContainerUser(
        linux=pb.LinuxContainerUser(
            uid=os.geteuid() if identity["uid"] is None else identity["uid"],
            gid=os.getegid() if identity["gid"] is None else identity["gid"],
            supplemental_groups=os.getgroups() if groups is None else groups,
        )
    )


def _user(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _check_permitted(identity: Identity) -> None:
    if os.geteuid() == 0:
        return
    own = {os.getegid(), *os.getgroups()}
    if identity["uid"] != os.geteuid() or identity["gid"] != os.getegid() or not set(identity["groups"] or ()) <= own:
        raise PermissionError(
            f"cannot run as user {identity['uid']} and group {identity['gid']}: "
            f"the runtime runs as user {os.geteuid()} and may not change it"
        )

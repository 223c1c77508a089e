"""What a Pod and its containers may do on their host."""

from __future__ import annotations

from attrs import frozen

from orchestra.api.object import Struct, declared, freeze_fields, omit_empty


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Capabilities(Struct):
    """Linux capabilities that a container gets and loses beside those of the runtime."""

    add: tuple[str, ...] = declared((), go="v1.Capability")
    drop: tuple[str, ...] = declared((), go="v1.Capability")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SELinuxOptions(Struct):
    """The SELinux label of a container."""

    user: str = omit_empty()
    role: str = omit_empty()
    type: str = omit_empty()
    level: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class WindowsSecurityContextOptions(Struct):
    """Settings for containers on Windows."""

    gmsa_credential_spec_name: str | None = None
    gmsa_credential_spec: str | None = None
    run_as_user_name: str | None = None
    host_process: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SeccompProfile(Struct):
    """Which system calls are let through: RuntimeDefault, Unconfined or a Localhost profile."""

    type: str = declared("", go="v1.SeccompProfileType")
    localhost_profile: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class AppArmorProfile(Struct):
    """Which AppArmor profile holds: RuntimeDefault, Unconfined or a Localhost profile."""

    type: str = declared("", go="v1.AppArmorProfileType")
    localhost_profile: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Sysctl(Struct):
    """A kernel parameter of the Pod's namespaces."""

    name: str = ""
    value: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SecurityContext(Struct):
    """The privileges of one container; what is set here wins over the Pod's own context."""

    capabilities: Capabilities | None = None
    privileged: bool | None = None
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    proc_mount: str | None = declared(go="v1.ProcMountType")
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodSecurityContext(Struct):
    """The privileges of all containers of a Pod, and the ownership of its volumes."""

    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str | None = declared(go="v1.SupplementalGroupsPolicy")
    fs_group: int | None = None
    sysctls: tuple[Sysctl, ...] = ()
    fs_group_change_policy: str | None = declared(go="v1.PodFSGroupChangePolicy")
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
    se_linux_change_policy: str | None = declared(go="v1.PodSELinuxChangePolicy")

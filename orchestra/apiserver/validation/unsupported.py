"""What Orchestra takes and stores but does not act on: said once per field, and only where a manifest asks for it.

Values that mean "as usual" (defaults, false, empty) never warn. A path is of wire names; `[]` stands for every item of
a list, `containers` for containers of every sort. The values that are acted on are listed where there are some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
NOT_ACTED_ON = "accepted, but nothing acts on it: the process runtime does not isolate containers"
NO_SUCH_PART = "accepted, but nothing acts on it yet"

ACTED_ON_VOLUMES = frozenset({"emptyDir", "configMap", "secret", "downwardAPI", "projected", "hostPath"})

_OF_POD: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("hostNetwork", (), NOT_ACTED_ON),
    ("hostPID", (), NOT_ACTED_ON),
    ("hostIPC", (), NOT_ACTED_ON),
    ("hostUsers", (True,), NOT_ACTED_ON),
    ("shareProcessNamespace", (), NOT_ACTED_ON),
    ("dnsPolicy", ("ClusterFirst",), NO_SUCH_PART),
    ("dnsConfig", (), NO_SUCH_PART),
    ("hostAliases", (), NO_SUCH_PART),
    ("hostname", (), NO_SUCH_PART),
    ("subdomain", (), NO_SUCH_PART),
    ("setHostnameAsFQDN", (), NO_SUCH_PART),
    ("hostnameOverride", (), NO_SUCH_PART),
    ("runtimeClassName", (), NO_SUCH_PART),
    ("resourceClaims", (), NO_SUCH_PART),
    ("imagePullSecrets", (), NO_SUCH_PART),
    ("os", ({"name": "linux"},), NO_SUCH_PART),
    *(
        (f"securityContext.{field}", (), NOT_ACTED_ON)
        for field in (
            "seLinuxOptions",
            "windowsOptions",
            "runAsUser",
            "runAsGroup",
            "runAsNonRoot",
            "supplementalGroups",
            "supplementalGroupsPolicy",
            "fsGroup",
            "fsGroupChangePolicy",
            "sysctls",
            "seccompProfile",
            "appArmorProfile",
            "seLinuxChangePolicy",
        )
    ),
)
_OF_CONTAINER: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("volumeDevices", (), NO_SUCH_PART),
    ("resizePolicy", (), NO_SUCH_PART),
    ("restartPolicyRules", (), NO_SUCH_PART),
    ("stdin", (), NO_SUCH_PART),
    ("tty", (), NO_SUCH_PART),
    *(
        (f"securityContext.{field}", (), NOT_ACTED_ON)
        for field in (
            "capabilities",
            "privileged",
            "seLinuxOptions",
            "windowsOptions",
            "runAsUser",
            "runAsGroup",
            "runAsNonRoot",
            "readOnlyRootFilesystem",
            "allowPrivilegeEscalation",
            "procMount",
            "seccompProfile",
            "appArmorProfile",
        )
    ),
)


def _found(holder: Document, table: Sequence[tuple[str, tuple[Any, ...], str]], path: str) -> Iterator[str]:
    for names, usual, told in table:
        value: Any = holder
        for name in names.split("."):
            value = (value or {}).get(name)
        if value in (None, False, "", [], {}) or value in usual:
            continue
        yield f"{path}.{names}: {told}"


def unsupported_fields(spec: Document, path: str) -> Iterator[str]:
    """Yield a warning per field of a PodSpec that a manifest sets and that has no effect here."""
    yield from _found(spec, _OF_POD, path)
    for index, volume in enumerate(spec.get("volumes") or ()):
        for name, source in volume.items():
            if name != "name" and name not in ACTED_ON_VOLUMES and source is not None:
                yield f"{path}.volumes[{index}].{name}: {NO_SUCH_PART}"
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            yield from _found(container, _OF_CONTAINER, f"{path}.{kind}[{index}]")

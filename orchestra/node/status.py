"""The status of a Pod as the API shows it, from what the runtime shows and the agent remembers.

Pure. Phases, reasons and conditions follow the Kubernetes documentation ("Pod Lifecycle") and what its kubelet
writes. A Pod whose containers are over has two phases: the true one, which its conditions tell of at once, and the
shown one, which becomes Succeeded or Failed only when its sandbox is stopped and nothing can run any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from orchestra.api.core import HostIP, PodIP, PodStatus, ResourceRequirements
from orchestra.api.rules.resources import pod_limits, pod_requests
from orchestra.node.actions import is_sidecar, restarts_after, will_run_again
from orchestra.node.conditions import OWN_CONDITIONS, pod_conditions
from orchestra.node.statuses import StatusInput, at_second, container_statuses, surely_terminated

if TYPE_CHECKING:
    from orchestra.api.core import Container, ContainerStatus

__all__ = ["StatusInput", "pod_status", "true_phase"]

TERMINAL = frozenset({"Succeeded", "Failed"})


def pod_status(given: StatusInput) -> PodStatus:
    """Return the whole status of a Pod, conditions of other writers included."""
    refusal = given.memory.refusal
    if refusal is not None and not refusal.admitted:
        return _refused(given)
    old = given.pod.status
    init, main = container_statuses(given)
    phase = "Failed" if refusal is not None else true_phase(given, init, main)
    shown, told = phase, refusal
    if given.ended and phase not in TERMINAL:
        shown = "Failed"
    elif not given.ended and phase in TERMINAL:
        shown, told = old.phase if old.phase and old.phase not in TERMINAL else "Running", None
    conditions = pod_conditions(given, phase, init, main)
    if given.ended:
        init, main = surely_terminated(given.pod, init, main)
    requests, limits = pod_requests(given.pod), pod_limits(given.pod)
    ip = next((s.ip for s in given.observed.sandboxes[:1] if s.ip), "") or given.memory.ip
    return attrs.evolve(
        old,
        phase=shown,
        reason=told.reason if told else "",
        message=told.message if told else "",
        observed_generation=given.pod.metadata.generation or 0,
        host_ip=given.host_ip,
        host_ips=(HostIP(ip=given.host_ip),),
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),) if ip else (),
        start_time=at_second(given.memory.start_time),
        init_container_statuses=init,
        container_statuses=main,
        conditions=conditions,
        allocated_resources=requests,
        resources=ResourceRequirements(limits=limits, requests=requests) if requests or limits else None,
    )


def _refused(given: StatusInput) -> PodStatus:
    """A Pod that the node never took on says why, and nothing of its containers."""
    old, refusal = given.pod.status, given.memory.refusal
    assert refusal is not None
    return PodStatus(
        phase="Failed",
        reason=refusal.reason,
        message=refusal.message,
        observed_generation=given.pod.metadata.generation or 0,
        start_time=old.start_time or at_second(given.memory.start_time or given.now),
        qos_class=old.qos_class,
        conditions=tuple(c for c in old.conditions if c.type not in OWN_CONDITIONS),
    )


def true_phase(given: StatusInput, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]) -> str:
    """Return the phase that the containers' states mean."""
    spec = given.pod.spec
    by_name = {status.name: status for status in (*init, *main)}
    failed_for_good, pending = _initialization(given, by_name)
    if failed_for_good:
        return "Failed"
    if pending or any(s.state.waiting is not None and s.last_state.terminated is None for s in main):
        return "Pending"
    stopped = [_last_exit(by_name[container.name]) for container in spec.containers]
    if any(code is None for code in stopped):
        return "Running"
    pairs = [(container, code) for container, code in zip(spec.containers, stopped, strict=True) if code is not None]
    if not given.ended and any(_runs_again(given, container, code) for container, code in pairs):
        return "Running"
    return "Succeeded" if all(code == 0 for _, code in pairs) else "Failed"


def _initialization(given: StatusInput, statuses: dict[str, ContainerStatus]) -> tuple[bool, bool]:
    """Say whether an init container has failed for good, and whether init containers still have work to do."""
    spec = given.pod.spec
    main_begun = any(statuses[c.name].container_id for c in spec.containers)
    failed, pending = False, False
    for container in spec.init_containers:
        status = statuses[container.name]
        ended = status.state.terminated
        if is_sidecar(container):
            open_end = ended is None and status.last_state.terminated is None and not status.started
            pending = pending or (open_end and not main_begun)
        elif ended is not None and ended.exit_code == 0:
            continue
        else:
            code = _last_exit(status)
            failed = failed or (code is not None and not restarts_after(given.pod, container, code))
            # Once the main containers have run, a failure says only that the sandbox was lost meanwhile.
            pending = True
    return failed, pending


def _last_exit(status: ContainerStatus) -> int | None:
    """Return the exit code of a container that is not running, None while it runs or before it ran."""
    if status.state.running is not None:
        return None
    ended = status.state.terminated or status.last_state.terminated
    return None if ended is None else ended.exit_code


def _runs_again(given: StatusInput, container: Container, exit_code: int) -> bool:
    run = given.observed.latest(container.name)
    if run is not None and run.over:
        return will_run_again(given.pod, container, given.observed, given.memory, given.now)
    return restarts_after(given.pod, container, exit_code)

"""`orchestra why`: why a Pod is where it is, or nowhere."""

from __future__ import annotations

from typing import Any

import attrs
import click

from orchestra.api.core.pod import Pod
from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.object import ObjectMeta
from orchestra.cli.columns import harmless
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import one_target
from orchestra.cli.rendering import check_format, render_objects
from orchestra.cli.spelling import explanation, headline, unknown
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_option, verb
from orchestra.client.interface import Client


@attrs.frozen(kw_only=True)
class WhyOptions:
    """Which Pods to explain, and how."""

    resources: tuple[str, ...] = ()
    namespace: str = "default"
    output: str = ""


@verb("why")
@click.argument("resources", nargs=-1, metavar="pod NAME... | pod/NAME...")
@connection_options
@namespace_option
@click.option("--output", "-o", default="", metavar="FORMAT", help="json, yaml, or jsonpath=TEMPLATE.")
def why_command(**given: Any) -> int:
    """Explain where a Pod is: the scores of its node and of others, or what refused it and what would help."""
    return execute(run, WhyOptions, given)


async def run(client: Client, options: WhyOptions, terminal: Terminal) -> int:
    """Explain the Pods that are meant."""
    check_format(options.output, tables=False)
    target = await one_target(client, options.resources)
    if target.info.group_kind != "Pod":
        raise CommandError(f"only Pods are placed on nodes: there is nothing to explain about a {target.info.kind}")
    found: list[PodDiagnosis] = []
    for number, name in enumerate(target.names):
        pod = await client.get(Pod, name, namespace=target.namespace or options.namespace)
        diagnosis = await client.diagnosis(name, namespace=pod.metadata.namespace)
        found.append(diagnosis or _nothing(pod))
        if not options.output:
            terminal.write("\n" if number else "")
            _tell(pod, diagnosis, terminal)
    if options.output:
        terminal.write(render_objects(client.scheme, found, options.output, single=len(found) == 1))
    return 0


def _tell(pod: Pod, diagnosis: PodDiagnosis | None, terminal: Terminal) -> None:
    lines = [headline(pod, diagnosis)]
    if diagnosis is None:
        lines += unknown(pod)
    else:
        if pod.spec.node_name and diagnosis.node != pod.spec.node_name:
            lines.append("Somebody else bound it there; this was the scheduler's latest attempt:")
        lines += explanation(diagnosis, terminal.now())
    for line in lines:
        terminal.say(harmless(line))


def _nothing(pod: Pod) -> PodDiagnosis:
    """Return the record of a Pod that no scheduler has reported on: only what the Pod says itself."""
    meta = pod.metadata
    about = ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid)
    return PodDiagnosis(metadata=about, scheduler=pod.spec.scheduler_name or "", node=pod.spec.node_name or "")

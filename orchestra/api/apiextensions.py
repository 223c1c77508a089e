"""Kinds that are made at run time: apiextensions.k8s.io/v1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource, wire


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServiceReference(Struct):
    """A Service that a webhook stands behind."""

    namespace: str = ""
    name: str = ""
    path: str | None = None
    port: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class WebhookClientConfig(Struct):
    """Where a webhook is."""

    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: bytes = omit_empty(b"")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class WebhookConversion(Struct):
    """Who converts between versions."""

    client_config: WebhookClientConfig | None = None
    conversion_review_versions: tuple[str, ...] = declared((), required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceConversion(Struct):
    """How objects are converted between versions: None or Webhook."""

    strategy: str = declared("", go="v1.ConversionStrategyType")
    webhook: WebhookConversion | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceDefinitionNames(Struct):
    """What the kind is called."""

    plural: str = ""
    singular: str = omit_empty()
    short_names: tuple[str, ...] = ()
    kind: str = ""
    list_kind: str = omit_empty()
    categories: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceSubresourceStatus(Struct):
    """The subresource `status` exists."""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceSubresourceScale(Struct):
    """Where the replicas of a custom resource are, as JSON paths."""

    spec_replicas_path: str = ""
    status_replicas_path: str = ""
    label_selector_path: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceSubresources(Struct):
    """Which subresources the kind has."""

    status: CustomResourceSubresourceStatus | None = None
    scale: CustomResourceSubresourceScale | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceColumnDefinition(Struct):
    """A column of the table that `get` shows."""

    name: str = ""
    type: str = ""
    format: str = omit_empty()
    description: str = omit_empty()
    priority: int = omit_empty(0, int32=True)
    json_path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SelectableField(Struct):
    """A field that field selectors can name."""

    json_path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceValidation(Struct):
    """The schema of a version: an OpenAPI v3 schema, kept as the document that it is."""

    open_apiv3_schema: Any = wire("openAPIV3Schema")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceDefinitionVersion(Struct):
    """One version of the kind."""

    name: str = ""
    served: bool = False
    storage: bool = False
    deprecated: bool = omit_empty(False)
    deprecation_warning: str | None = None
    schema: CustomResourceValidation | None = None
    subresources: CustomResourceSubresources | None = None
    additional_printer_columns: tuple[CustomResourceColumnDefinition, ...] = ()
    selectable_fields: tuple[SelectableField, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceDefinitionSpec(Struct):
    """The kind's group, names, scope and versions."""

    group: str = ""
    names: CustomResourceDefinitionNames = CustomResourceDefinitionNames()
    scope: str = declared("", go="v1.ResourceScope")
    versions: tuple[CustomResourceDefinitionVersion, ...] = declared((), required=True)
    conversion: CustomResourceConversion | None = None
    preserve_unknown_fields: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceDefinitionCondition(Struct):
    """One aspect of a definition: Established, NamesAccepted, NonStructuralSchema, Terminating."""

    type: str = declared("", go="v1.CustomResourceDefinitionConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()
    observed_generation: int = omit_empty(0)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceDefinitionStatus(Struct):
    """Under which names the kind is served, and which versions may be stored."""

    conditions: tuple[CustomResourceDefinitionCondition, ...] = list_map("type", required=True, merge_key="")
    accepted_names: CustomResourceDefinitionNames = CustomResourceDefinitionNames()
    stored_versions: tuple[str, ...] = declared((), required=True)
    observed_generation: int = omit_empty(0)


@resource(builtin.CUSTOM_RESOURCE_DEFINITION)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CustomResourceDefinition(Object):
    """A kind that is made at run time."""

    spec: CustomResourceDefinitionSpec = CustomResourceDefinitionSpec()
    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()

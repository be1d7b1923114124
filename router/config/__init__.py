"""Configuration: raw mappings in, deployments and settings out. The only place that sees raw mappings."""

from router.config.describe import describe
from router.config.load import build_deployment, build_deployments, load, parse_settings, validate
from router.config.schema import json_schema
from router.config.settings import RouterSettings
from router.config.targets import Alias, RetryPolicy, RoutingGroup, Target

__all__ = [
    "Alias",
    "RetryPolicy",
    "RouterSettings",
    "RoutingGroup",
    "Target",
    "build_deployment",
    "build_deployments",
    "describe",
    "json_schema",
    "load",
    "parse_settings",
    "validate",
]

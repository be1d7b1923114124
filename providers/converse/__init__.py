"""Translates between the Responses API and Amazon Bedrock's Converse."""

from providers.converse.provider import Converse
from providers.converse.table import TABLE

__all__ = ["TABLE", "Converse"]

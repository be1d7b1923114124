"""Homing Router."""

from router._guard import require_own_packages

require_own_packages()  # before anything that imports them

"""Homing Router."""

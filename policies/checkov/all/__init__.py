"""Loaded by checkov."""

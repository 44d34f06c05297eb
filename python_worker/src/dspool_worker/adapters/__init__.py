"""Adapters that come with dspool."""

"""Judges what a chaos driver has written down: whether the engine kept its promises."""

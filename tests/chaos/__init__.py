"""Deliberate harm to the real processes, and the count of what it cost: see docs/chaos.md."""

"""Rows against files and files against rows: what is wrong is counted, repaired, and cleaned up, with real numbers."""

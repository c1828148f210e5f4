"""Frames become segments, segments become films. Values and files in, files and facts out; no Django."""

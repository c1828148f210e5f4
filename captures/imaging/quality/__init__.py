"""How good is a picture? Detectors are small pure functions behind one contract; their table is the whole pipeline."""

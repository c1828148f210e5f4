"""What is done to a camera's pictures before anything is stored: masks, cropping, turning, aspect; no Django."""

from cameras.geometry.geometry import Geometry
from cameras.geometry.layout import RATIOS, Aspect, Crop
from cameras.geometry.problems import GeometryRefused

__all__ = ["RATIOS", "Aspect", "Crop", "Geometry", "GeometryRefused"]

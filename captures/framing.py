"""A camera's geometry is changed: what was remembered of its pictures goes. Masks count at once.

Whoever stores a picture, or remembers it, compares the masks under the lock of the camera's row
(`quality.holds_masks`): of a picture that is being taken while a mask is saved nothing is kept, and another is
taken. The rest of a geometry counts from the next picture on.
"""

from __future__ import annotations

from functools import partial

from django.db import transaction

from cameras import changes, hiding
from cameras.geometry import Geometry
from cameras.models import Camera
from captures.models import CameraPast
from media_jobs.events import EventType


def set_geometry(camera: Camera, geometry: Geometry, *, by: str) -> bool:
    """Saves the geometry. False where the camera has it already.

    With other masks all that shows what may now be hidden is forgotten: previews of tests, and what the detectors
    compare with. Pictures that were taken before are left alone.
    """
    document = geometry.to_document()
    with transaction.atomic():
        before = Camera.objects.select_for_update(of=("self",)).get(pk=camera.pk).geometry
        if before == document:
            return False
        has_other_masks = before.get("masks") != document.get("masks")
        Camera.objects.filter(pk=camera.pk).update(geometry=document)
        camera.geometry = document
        if has_other_masks:
            CameraPast.objects.filter(camera=camera).delete()
            transaction.on_commit(partial(hiding.forget_previews, camera))
        changed = ["geometry", "masks"] if has_other_masks else ["geometry"]
        changes.tell(EventType.CAMERA_UPDATED, camera, by=by, changed=changed)
    return True

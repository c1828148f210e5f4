"""Settings of timelapses in the API: what their camera says, unless they say it themselves."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from cameras.effective import said_globally
from cameras.settings import Level, Line, outline
from cameras.settings_api import LevelSerializer, LevelViewSet, wish_of
from captures.models import Timelapse
from media_jobs import roles


class TimelapseSettingsViewSet(LevelViewSet):
    """Settings of one timelapse. Whoever runs timelapses sets them, as they set its plan."""

    level = Level.TIMELAPSE
    queryset = Timelapse.objects.select_related("camera")
    deeds = {"partial_update": roles.OPERATE}

    def lines(self, target: Any) -> list[Line]:
        return outline(said_globally(), target.camera.said, target.said)

    @extend_schema(operation_id="timelapses_settings_retrieve", responses={200: LevelSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """Every setting: what counts for this timelapse, and who says so."""
        return self._show()

    @extend_schema(
        operation_id="timelapses_settings_partial_update",
        request=wish_of(Level.TIMELAPSE),
        responses={200: LevelSerializer},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Changes what is named, all of it or nothing; in force from the next picture on."""
        return self._change(request)

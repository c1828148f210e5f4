"""Every address of the API, version 1."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.urls import URLPattern, URLResolver, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from cameras.settings_api import CameraSettingsViewSet, GlobalSettingsViewSet, SettingChangeViewSet
from cameras.viewsets import AlertViewSet, CameraViewSet, SiteViewSet
from cameras.weather_api import WeatherViewSet
from captures.geometry_api import CameraGeometryViewSet
from captures.lookback import TimelapseDaysViewSet
from captures.preview import TimelapsePreviewViewSet
from captures.quality_api import (
    BoundedForm,
    CameraQualityViewSet,
    EvaluationViewSet,
    QualityViewSet,
    TrialThrottle,
)
from captures.settings_api import TimelapseSettingsViewSet
from captures.storage_api import StorageViewSet, TimelapseStorageViewSet
from captures.uptime_api import CameraUptimeViewSet
from captures.viewsets import CameraPicturesViewSet, CaptureViewSet, TimelapseViewSet
from media_jobs.audit_api import DecisionViewSet
from media_jobs.viewsets import EventsView, JobViewSet
from timelapser.configuration_api import ExportView, ImportView
from timelapser.standing import ClockViewSet, QueuesView, WorkersView
from timelapser.viewsets import NothingHere, SystemView, TokenView
from timelapser.work_list import WorkViewSet
from videos.viewsets import RecipeViewSet, VideoViewSet

STORAGE_DEEDS = (
    ("", "get", "retrieve"),
    ("thumbnails/", "post", "thumbnails"),
    ("verify/", "post", "verify"),
    ("repair/", "post", "repair"),
    ("clean-up/", "post", "clean_up"),
    ("delete-thumbnails/", "post", "delete_thumbnails"),
)

router = SimpleRouter()
router.register("cameras", CameraViewSet, basename="camera")
router.register("timelapses", TimelapseViewSet, basename="timelapse")
router.register("timelapses", TimelapsePreviewViewSet, basename="timelapse-outlook")
router.register("timelapses", TimelapseDaysViewSet, basename="timelapse-days")
router.register("captures", CaptureViewSet, basename="capture")
router.register("evaluations", EvaluationViewSet, basename="evaluation")
router.register("recipes", RecipeViewSet, basename="recipe")
router.register("videos", VideoViewSet, basename="video")
router.register("jobs", JobViewSet, basename="job")
router.register("audit", DecisionViewSet, basename="decision")
router.register("alerts", AlertViewSet, basename="alert")
router.register("sites", SiteViewSet, basename="site")
router.register("clock", ClockViewSet, basename="clock")
router.register("work", WorkViewSet, basename="work")
router.register("weather", WeatherViewSet, basename="weather")

urlpatterns: list[URLPattern | URLResolver] = [
    *router.urls,
    # Cameras know nothing of captures, so these stand by themselves.
    path(
        "cameras/<int:pk>/capture-now/",
        CameraPicturesViewSet.as_view({"post": "capture_now"}),
        name="camera-capture-now",
    ),
    path(
        "cameras/<int:pk>/pictures/latest/",
        CameraPicturesViewSet.as_view({"get": "latest_picture"}),
        name="camera-latest-picture",
    ),
    path(
        "cameras/<int:pk>/uptime/",
        CameraUptimeViewSet.as_view({"get": "retrieve"}),
        name="camera-uptime",
    ),
    path(
        "cameras/<int:pk>/quality/",
        CameraQualityViewSet.as_view({"get": "report"}),
        name="camera-judgement",
    ),
    path(
        "cameras/<int:pk>/leave-degraded/",
        CameraQualityViewSet.as_view({"post": "leave_degraded"}),
        name="camera-leave-degraded",
    ),
    path("quality/", QualityViewSet.as_view({"get": "fleet"}), name="judgement"),
    path(
        "quality/test/",
        QualityViewSet.as_view(
            {"post": "test"}, parser_classes=[BoundedForm], throttle_classes=[TrialThrottle]
        ),
        name="judgement-test",
    ),
    path(
        "cameras/<int:pk>/geometry/",
        CameraGeometryViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
        name="camera-geometry",
    ),
    path(
        "cameras/<int:pk>/geometry/test/",
        CameraGeometryViewSet.as_view({"post": "test"}),
        name="camera-geometry-test",
    ),
    *(
        path(
            f"{where}settings/",
            viewset.as_view({"get": "retrieve", "patch": "partial_update"}),
            name=f"{name}-detail",
        )
        for where, viewset, name in (
            ("", GlobalSettingsViewSet, "settings"),
            ("cameras/<int:pk>/", CameraSettingsViewSet, "camera-settings"),
            ("timelapses/<int:pk>/", TimelapseSettingsViewSet, "timelapse-settings"),
        )
    ),
    *(
        path(
            f"{where}storage/{deed}",
            viewset.as_view({method: action}),
            name=f"{name}-{'detail' if action == 'retrieve' else action.replace('_', '-')}",
        )
        for where, viewset, name in (
            ("", StorageViewSet, "storage"),
            ("timelapses/<int:pk>/", TimelapseStorageViewSet, "timelapse-storage"),
        )
        for deed, method, action in STORAGE_DEEDS
        if not (where and action == "thumbnails")  # timelapses/{id}/thumbnails/
    ),
    path("settings/history/", SettingChangeViewSet.as_view({"get": "list"}), name="settings-history"),
    path("configuration/export/", ExportView.as_view(), name="export"),
    path("configuration/import/", ImportView.as_view(), name="import"),
    path("events/", EventsView.as_view(), name="events"),
    path("queues/", QueuesView.as_view(), name="queues"),
    path("workers/", WorkersView.as_view(), name="workers"),
    path("system/", SystemView.as_view(), name="system"),
    path("token/", TokenView.as_view(), name="token"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", login_required(SpectacularSwaggerView.as_view(url_name="schema")), name="api-docs"),
    re_path("", NothingHere.as_view()),
]

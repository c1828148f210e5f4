"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from timelapser.pages import (
    audit,
    camera,
    camera_edit,
    dashboard,
    films,
    moves,
    operations,
    pictures,
    schedule,
    signin,
    timelapse,
)

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("parts/", dashboard.parts, name="dashboard-parts"),
    path("login/", signin.LogIn.as_view(), name="login"),
    path("logout/", signin.LogOut.as_view(), name="logout"),
    path("cameras/add/", camera_edit.add, name="camera-add"),
    path("cameras/<int:pk>/", camera.camera, name="camera"),
    path("cameras/<int:pk>/parts/", camera.parts, name="camera-parts"),
    path("cameras/<int:pk>/edit/", camera_edit.edit, name="camera-edit"),
    path("cameras/<int:pk>/test/", camera.test, name="camera-test"),
    path("cameras/<int:pk>/start/", schedule.start, name="timelapse-start"),
    path("cameras/<int:pk>/start/preview/", schedule.preview_start, name="timelapse-start-preview"),
    path("tests/<uuid:pk>/", camera.test_result, name="test-result"),
    path("timelapses/<int:pk>/", timelapse.timelapse, name="timelapse"),
    path("timelapses/<int:pk>/parts/", timelapse.parts, name="timelapse-parts"),
    path("timelapses/<int:pk>/strip/", pictures.strip, name="timelapse-strip"),
    path("timelapses/<int:pk>/films/", films.ask, name="film-add"),
    path("timelapses/<int:pk>/edit/", schedule.edit, name="timelapse-edit"),
    path("timelapses/<int:pk>/edit/preview/", schedule.preview_edit, name="timelapse-edit-preview"),
    path("timelapses/<int:pk>/capture/", moves.capture_now, name="capture-now"),
    path("timelapses/<int:pk>/work/cancel/", moves.cancel_work, name="timelapse-cancel-work"),
    path("timelapses/<int:pk>/thumbnails/", moves.make_thumbnails, name="timelapse-thumbnails"),
    path("timelapses/<int:pk>/<str:move>/", moves.move, name="timelapse-move"),
    path("operations/", operations.operations, name="operations"),
    path("operations/parts/", operations.parts, name="operations-parts"),
    path("operations/clock/<str:task>/run/", operations.run_now, name="entry-run"),
    path("audit/", audit.audit, name="audit"),
    path("captures/<int:pk>/", pictures.picture, name="picture"),
    path("films/<int:pk>/render/", films.render_again, name="film-render"),
    path("jobs/<uuid:pk>/cancel/", films.cancel_job, name="job-cancel"),
    path("jobs/<uuid:pk>/retry/", operations.retry, name="job-retry"),
]

"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from timelapser.pages import camera, camera_edit, dashboard, films, moves, pictures, signin, timelapse

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
    path("cameras/<int:pk>/start/", camera.start, name="timelapse-start"),
    path("tests/<uuid:pk>/", camera.test_result, name="test-result"),
    path("timelapses/<int:pk>/", timelapse.timelapse, name="timelapse"),
    path("timelapses/<int:pk>/parts/", timelapse.parts, name="timelapse-parts"),
    path("timelapses/<int:pk>/strip/", pictures.strip, name="timelapse-strip"),
    path("timelapses/<int:pk>/films/", films.ask, name="film-add"),
    path("timelapses/<int:pk>/capture/", moves.capture_now, name="capture-now"),
    path("timelapses/<int:pk>/<str:move>/", moves.move, name="timelapse-move"),
    path("captures/<int:pk>/", pictures.picture, name="picture"),
    path("films/<int:pk>/render/", films.render_again, name="film-render"),
    path("jobs/<uuid:pk>/cancel/", films.cancel_job, name="job-cancel"),
]

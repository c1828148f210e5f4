"""Addresses of what jobs leave behind."""

from __future__ import annotations

from django.urls import path

from media_jobs import views

urlpatterns = [
    path("media/jobs/<uuid:pk>/preview.jpg", views.preview, name="job-preview"),
    path("media/jobs/<uuid:pk>/before.jpg", views.preview, {"which": "before"}, name="job-before"),
]

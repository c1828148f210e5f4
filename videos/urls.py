"""Addresses of films."""

from __future__ import annotations

from django.urls import path

from videos import views

urlpatterns = [
    path("media/videos/<int:pk>/<int:revision>/film.mp4", views.film, name="video-film"),
    path("media/videos/<int:pk>/<int:revision>/poster.jpg", views.poster, name="video-poster"),
]

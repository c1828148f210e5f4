"""Why there is no picture, in plain words."""

from __future__ import annotations

BROKER_AWAY = "broker_away"
# Codes of cameras' errors come with their own words, those of bad pictures with the detector's.
REASONS: dict[str, str] = {
    "scheduler_was_down": "Nothing was planned then: the scheduler, its broker or the database was away.",
    "not_planned_in_time": "The scheduler was at work, and came to this timelapse too late.",
    "schedule_error": "The schedule could not be calculated; the timelapse says why.",
    "not_sent_in_time": "The scheduler stopped between planning and sending this picture.",
    BROKER_AWAY: "The broker was away, so that no worker could be told.",
    "no_worker": "No capture worker took it in time. Is one running, and is it fast enough?",
    "no_worker_of_the_site": "No capture worker of the camera's site took it in time. Is one running there?",
    "worker_lost": "The worker that was taking it went away.",
    "camera_busy": "Other pictures from the same address were still being taken. A longer interval helps.",
    "camera_disabled": "The camera was switched off here.",
    "timelapse_paused": "The timelapse was paused.",
    "timelapse_ended": "The timelapse was ended.",
    "enough_captures": "The last of the pictures that it was to take was being taken.",
    "cancelled": "Somebody cancelled it.",
    "disk_full": "The disk was full.",
    "storage_unwritable": "The media folder could not be written.",
    "storage_error": "The storage refused the file.",
    "broken_picture": "The picture was damaged.",
    "file_lost": "Its picture was stored, and the file is gone.",
    "file_broken": "Its picture was stored, and the file is damaged.",
    "geometry_unreadable": "The camera's masks could not be read, and nothing is stored without them.",
    "masks_changed": "Masks were changed again and again while it was taken; nothing is stored that they may hide.",
    "password_unreadable": "The camera's password was sealed with another key; enter it again.",
    "broken_file": "Discarded: its file was not whole.",
    "wrong_bits": "Discarded: some of its bits were wrong.",
    "uniform": "Discarded: all of it was of one colour.",
    "missing_part": "Discarded: a part of it had not arrived.",
    "green": "Discarded: it was the green that decoders draw where no data came.",
    "ghosting": "Discarded: it was grey with ghosts, as after a lost key frame.",
    "smear": "Discarded: it was smeared, as after lost data.",
    "broken_blocks": "Discarded: some of its blocks were broken.",
    "torn": "Discarded: it was made of two pictures.",
    "unexpected": "Something unexpected happened; the worker's log has the trace.",
}


def words_of(reason: str) -> str:
    return REASONS.get(reason, reason.replace("_", " ").capitalize() + ".")


def reason_of(verdict: str) -> str:
    """A finding's word as a reason's code: "missing part" is `missing_part`."""
    return verdict.replace(" ", "_") or "broken_picture"

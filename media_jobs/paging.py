"""Pages of lists in the API: numbered, and cheap to read also far from the first one."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from rest_framework.pagination import PageNumberPagination

NEAR = 1000  # rows; so many are passed over as quickly as their ids would be found


class FarPaginator(Paginator):
    """Finds the ids of a far page first, from the nearer end of the list, and reads its rows alone.

    A database that passes over half a million rows reads each of them; of ids an index has them all.
    """

    @cached_property
    def _is_query(self) -> bool:
        return isinstance(self.object_list, QuerySet) and self.object_list.ordered

    def page(self, number: int | str) -> Page:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        if first < NEAR or not self._is_query:
            return super().page(number)
        rows: Any = self.object_list
        last = min(first + self.per_page, self.count)
        if first > self.count / 2:
            ids = rows.reverse().values_list("pk", flat=True)[self.count - last : self.count - first]
        else:
            ids = rows.values_list("pk", flat=True)[first:last]
        return Page(rows.filter(pk__in=list(ids)), number, self)


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    django_paginator_class = FarPaginator

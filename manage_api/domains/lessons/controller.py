"""`/api/admin/lessons`."""

import asyncio
from typing import Annotated

from litestar import Controller, delete, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter

from manage_api.access.guards import admin_only
from manage_api.domains.lessons.schemas import LessonView
from manage_api.paging import Page
from manage_api.sidecar import Sidecar
from shared.store.lessons import forget_lesson, read_lessons
from shared.store.versions import change_topic

__all__ = ("LessonsController",)

LessonId = Annotated[str, PathParameter(max_length=64)]


class LessonsController(Controller):
    """What upstreams taught by rejecting requests, for admins."""

    path = "/api/admin/lessons"
    guards = (admin_only,)

    @get()
    async def show_all(self, sidecar: NamedDependency[Sidecar]) -> Page[LessonView]:
        """List the lessons by upstream and model, on one page."""
        return Page([LessonView.of(lesson) for lesson in read_lessons(sidecar.store)], None)

    @delete("/{lesson_id:str}")
    async def forget(self, lesson_id: LessonId, sidecar: NamedDependency[Sidecar]) -> None:
        """Forget a lesson; the data plane no longer applies it within two seconds."""
        keys = [
            lesson.key
            for lesson in read_lessons(sidecar.store)
            if LessonView.of(lesson).id == lesson_id
        ]
        if not keys:
            raise NotFoundException("There is no such lesson.")
        await asyncio.to_thread(
            change_topic, sidecar.store, "learned", lambda work: work.run(*forget_lesson(keys[0]))
        )

"""Ray in one process: the same calls, carried out in turn, and workers that die when they are told to.

What travels is copied as it would be between processes, and a worker does nothing before somebody waits for it.
"""

import itertools
import pickle
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any


class RayActorError(RuntimeError):
    """The worker died before it had answered."""


class Answer:
    """What a worker will have answered."""

    def __init__(self, worker: "Handle") -> None:
        self.worker, self.value = worker, None
        self.given = False


class Handle:
    """A worker as others see it: `worker.method.remote(*arguments)` stands in its queue."""

    def __init__(self, kind: Callable[..., Any], arguments: tuple[Any, ...], dies: Callable[[], bool]) -> None:
        self._object, self._dies = kind(*_copied(arguments)), dies
        self._queue: deque[tuple[Answer, str, tuple[Any, ...]]] = deque()
        self.alive = True

    def __getattr__(self, name: str) -> "Method":
        return Method(self, name)

    def enter(self, name: str, arguments: tuple[Any, ...]) -> Answer:
        answer = Answer(self)
        self._queue.append((answer, name, _copied(arguments)))
        return answer

    def work_until(self, answer: Answer) -> None:
        """Carry out what stands in the queue up to one answer."""
        while self.alive and not answer.given:
            waiting, name, arguments = self._queue.popleft()
            if self._dies():
                self.alive = False
            else:
                waiting.value, waiting.given = _copied(getattr(self._object, name)(*arguments)), True
        if not answer.given:
            raise RayActorError("the worker died")


class Method:
    def __init__(self, worker: Handle, name: str) -> None:
        self._worker, self._name = worker, name

    def remote(self, *arguments: Any) -> Answer:
        return self._worker.enter(self._name, arguments)


class Remote:
    """What `ray.remote(Class)` gives."""

    def __init__(self, kind: Callable[..., Any], dies: Callable[[], bool]) -> None:
        self._kind, self._dies = kind, dies

    def options(self, **_: Any) -> "Remote":
        return self

    def remote(self, *arguments: Any) -> Handle:
        return Handle(self._kind, arguments, self._dies)


def _copied(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def _get(answer: Answer) -> Any:
    answer.worker.work_until(answer)
    return answer.value


def _kill(worker: Handle) -> None:
    worker.alive = False


def cluster(cores: int, lost_at: int = 0) -> dict[str, ModuleType]:
    """Modules to stand in `sys.modules` for Ray's.

    lost_at : the call, counted from 1 over all workers, that a worker dies over; 0: none
    """
    calls = itertools.count(1)
    ray, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")
    exceptions.RayActorError = RayActorError
    ray.exceptions = exceptions
    ray.remote = lambda kind: Remote(kind, lambda: next(calls) == lost_at)
    ray.get, ray.kill = _get, _kill
    ray.is_initialized = lambda: True
    ray.cluster_resources = lambda: {"CPU": float(cores)}
    return {"ray": ray, "ray.exceptions": exceptions}

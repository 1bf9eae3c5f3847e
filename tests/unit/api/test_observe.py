"""What the log says of a request that failed."""

import pytest

from codexsys_api.observe import loggable


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/s/0Zr1secret", "/s/…"),
        ("/s/0Zr1secret/artifacts/diff.patch", "/s/…/artifacts/diff.patch"),
        ("/sign-in/0Zr1secret", "/sign-in/…"),
        ("/objects/0Zr1secret", "/objects/…"),
        ("/sign-in", "/sign-in"),
        ("/api/v1/tasks/task_1/logs", "/api/v1/tasks/task_1/logs"),
    ],
)
def test_a_path_is_logged_without_the_permission_in_it(path: str, said: str) -> None:
    assert loggable(path) == said

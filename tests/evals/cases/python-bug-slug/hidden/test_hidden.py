import pytest
from slugs import slugify


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Crème Brûlée -- now!", "creme-brulee-now"),
        ("  ...  ", "untitled"),
        ("", "untitled"),
        ("a_b", "a-b"),
        ("Ünïcödé", "unicode"),
    ],
)
def test_titles(title, slug):
    assert slugify(title) == slug
